package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A compiler makes programs out of the repository in a folder, as make does.
type compiler struct {
	source string
	work   string
	release
}

func newCompiler(source string, r release) (*compiler, error) {
	source, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, err
	}
	c := &compiler{source, work, r}
	if _, err := c.output(source, nil, "go", "build", "-o", c.sbom(), "./cmd/sbom"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *compiler) close() error { return os.RemoveAll(c.work) }

func (c *compiler) sbom() string { return filepath.Join(c.work, "sbom") }

func (c *compiler) compile(p program, platform v1.Platform) ([]file, error) {
	bin := filepath.Join(c.work, platform.OS+"-"+platform.Architecture)
	_, err := c.output(c.source, []string{"GOOS=" + platform.OS, "GOARCH=" + platform.Architecture},
		"make", "--silent", "--no-print-directory", p.target, "BIN="+bin, "VERSION="+c.version, "COMMIT="+c.commit)
	if err != nil {
		return nil, err
	}
	name := p.name
	if platform.OS == "windows" {
		name += ".exe"
	}
	binary := filepath.Join(bin, name)
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	module := filepath.Join(c.source, p.module)
	bom, err := c.output(module, nil, c.sbom(), "-version", c.version, binary)
	if err != nil {
		return nil, err
	}
	licences, err := c.output(module, nil, c.sbom(), "-version", c.version, "-licences", binary)
	if err != nil {
		return nil, err
	}
	return []file{{name, content, 0o755}, {p.name + ".cdx.json", bom, 0o644}, {"LICENSES", licences, 0o644}}, nil
}

// output runs a command in a folder with more environment, and returns what it prints.
func (c *compiler) output(dir string, env []string, command ...string) ([]byte, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", filepath.Base(command[0]), dir, err)
	}
	return out, nil
}
