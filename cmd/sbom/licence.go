package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// stdlib is what vulnerability databases call Go's standard library.
const stdlib = "stdlib"

// A licence is what a module may be used under.
type licence struct {
	ids   []string // SPDX identifiers; none if the text is not recognised
	texts []string // its files, and the notices that must come with them
}

// findLicences returns the licence of each module of a program and of the standard library.
func findLicences(info *debug.BuildInfo) (map[string]licence, error) {
	args := []string{"list", "-m", "-f", "{{.Path}}\t{{.Dir}}", info.Main.Path}
	inFolders := map[string]bool{info.Main.Path: true}
	for _, module := range info.Deps {
		args = append(args, module.Path)
		inFolders[module.Path] = isFolder(module)
	}
	list, err := goTool(args...)
	if err != nil {
		return nil, err
	}
	root, err := goTool("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	licences := make(map[string]licence)
	for line := range strings.Lines(list + stdlib + "\t" + root) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if licences[path], err = licenceIn(dir); err != nil {
			return nil, err
		}
		// As Go packs it, a module in a folder of a repository has the licence of the repository.
		for up := filepath.Dir(dir); inFolders[path] && len(licences[path].ids) == 0 && up != dir; up = filepath.Dir(dir) {
			dir = up
			if licences[path], err = licenceIn(dir); err != nil {
				return nil, err
			}
		}
	}
	return licences, nil
}

func goTool(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}

func licenceIn(dir string) (licence, error) {
	var found licence
	for _, name := range []string{"LICEN[SC]E*", "licen[sc]e.*", "NOTICE*"} {
		files, err := filepath.Glob(filepath.Join(dir, name))
		if err != nil {
			return licence{}, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return licence{}, err
			}
			found.texts = append(found.texts, strings.Trim(string(text), "\n"))
			// As pkg.go.dev does: what is mostly other text is no licence.
			scan := licensecheck.Scan(text)
			if scan.Percent < 75 {
				continue
			}
			for _, match := range scan.Match {
				found.ids = append(found.ids, match.ID)
			}
		}
	}
	slices.Sort(found.ids)
	found.ids = slices.Compact(found.ids)
	return found, nil
}
