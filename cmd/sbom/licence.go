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

// findLicences returns the licences of each module of a program and of the standard
// library, by their SPDX identifiers; none for one whose text is not recognised.
func findLicences(info *debug.BuildInfo) (map[string][]string, error) {
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
	licences := make(map[string][]string)
	for line := range strings.Lines(list + stdlib + "\t" + root) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if licences[path], err = licencesIn(dir); err != nil {
			return nil, err
		}
		// As Go packs it, a module in a folder of a repository has the licence of the repository.
		for up := filepath.Dir(dir); inFolders[path] && len(licences[path]) == 0 && up != dir; up = filepath.Dir(dir) {
			dir = up
			if licences[path], err = licencesIn(dir); err != nil {
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

func licencesIn(dir string) ([]string, error) {
	var files []string
	for _, name := range []string{"LICEN[SC]E*", "licen[sc]e.*"} {
		found, err := filepath.Glob(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	var ids []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		// As pkg.go.dev does: what is mostly other text is no licence.
		found := licensecheck.Scan(text)
		if found.Percent < 75 {
			continue
		}
		for _, match := range found.Match {
			ids = append(ids, match.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
