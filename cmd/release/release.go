package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A program is one that is released.
type program struct {
	name        string
	description string // of its image
	target      string // of make
	module      string // the folder of its module
	platforms   []v1.Platform
}

var (
	linuxAMD64   = v1.Platform{OS: "linux", Architecture: "amd64"}
	linuxARM64   = v1.Platform{OS: "linux", Architecture: "arm64"}
	darwinAMD64  = v1.Platform{OS: "darwin", Architecture: "amd64"}
	darwinARM64  = v1.Platform{OS: "darwin", Architecture: "arm64"}
	windowsAMD64 = v1.Platform{OS: "windows", Architecture: "amd64"}
	windowsARM64 = v1.Platform{OS: "windows", Architecture: "arm64"}
)

var podsignal = program{
	name:        "podsignal",
	description: "Signals a program when its mounted ConfigMap or Secret changes",
	target:      "build",
	module:      ".",
	platforms:   []v1.Platform{linuxAMD64, linuxARM64},
}

var plugin = program{
	name:        "kubectl-podsignal",
	description: "Tells whether a change of ConfigMaps and Secrets is live in all pods, and makes it so",
	target:      "plugin",
	module:      "cmd/kubectl-podsignal",
	platforms:   []v1.Platform{linuxAMD64, linuxARM64, darwinAMD64, darwinARM64, windowsAMD64, windowsARM64},
}

// A release is what its parts have in common.
type release struct {
	version, commit string
	time            time.Time // of the commit, and of all files
}

// A file is one of a program: the binary, what it is made of, and the licences of that.
type file struct {
	name    string
	content []byte
	mode    int64
}

// build writes all that a release has into a folder. The files that compile returns for a program
// are its binary, its bill of materials and its licences.
func (r release) build(out string, compile func(program, v1.Platform) ([]file, error)) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, p := range []program{podsignal, plugin} {
		if err := r.buildProgram(out, p, compile); err != nil {
			return fmt.Errorf("building %s: %w", p.name, err)
		}
	}
	return writeSums(out)
}

func (r release) buildProgram(out string, p program, compile func(program, v1.Platform) ([]file, error)) error {
	var images []v1.Image
	for _, platform := range p.platforms {
		files, err := compile(p, platform)
		if err != nil {
			return fmt.Errorf("for %s: %w", platform, err)
		}
		name := filepath.Join(out, fmt.Sprintf("%s-%s-%s", p.name, platform.OS, platform.Architecture))
		if err := os.WriteFile(name+".cdx.json", files[1].content, 0o644); err != nil {
			return err
		}
		if platform.OS == "windows" {
			if err := writeZip(name+".zip", files, r.time); err != nil {
				return err
			}
			continue
		}
		layer, err := newLayer(files, r.time)
		if err != nil {
			return err
		}
		if err := writeLayer(name+".tar.gz", layer); err != nil {
			return err
		}
		if platform.OS != "linux" {
			continue
		}
		image, err := r.image(p, platform, layer)
		if err != nil {
			return err
		}
		images = append(images, image)
	}
	return r.writeImages(filepath.Join(out, p.name+".oci.tar"), p, images)
}

// writeSums writes SHA256SUMS, as sha256sum does and checks it.
func writeSums(out string) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), sums.Bytes(), 0o644)
}
