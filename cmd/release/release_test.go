package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const top = "../.."

var committed = time.Unix(1_700_000_000, 0).UTC()

// fake is a compiler that compiles nothing.
func fake(p program, platform v1.Platform) ([]file, error) {
	name := p.name
	if platform.OS == "windows" {
		name += ".exe"
	}
	return []file{
		{name, []byte("the binary for " + platform.String()), 0o755},
		{p.name + ".cdx.json", []byte("what it is made of for " + platform.String()), 0o644},
		{"LICENSES", []byte("the licences"), 0o644},
	}, nil
}

// dryRun returns a folder with all that a release has.
func dryRun(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	if err := (release{"1.2.3", "abcdef", committed}).build(out, fake); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestArchives(t *testing.T) {
	dist := dryRun(t)
	files, sbom := unpack(t, filepath.Join(dist, "kubectl-podsignal-darwin-arm64.tar.gz")), filepath.Join(dist, "kubectl-podsignal-darwin-arm64.cdx.json")
	want := map[string]string{
		"kubectl-podsignal":          "755 the binary for darwin/arm64",
		"kubectl-podsignal.cdx.json": "644 what it is made of for darwin/arm64",
		"LICENSES":                   "644 the licences",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("the archive for macOS, wanted (-) and got (+):\n%s", diff)
	}
	if content, err := os.ReadFile(sbom); err != nil || string(content) != "what it is made of for darwin/arm64" {
		t.Errorf("%s has %q (%v)", sbom, content, err)
	}

	archive, err := zip.OpenReader(filepath.Join(dist, "kubectl-podsignal-windows-amd64.zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = archive.Close() })
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
		if !f.Modified.Equal(committed) {
			t.Errorf("%s is of %v, want the time of the commit", f.Name, f.Modified)
		}
	}
	if diff := cmp.Diff([]string{"kubectl-podsignal.exe", "kubectl-podsignal.cdx.json", "LICENSES"}, names); diff != "" {
		t.Errorf("the archive for Windows, wanted (-) and got (+):\n%s", diff)
	}
}

// unpack returns the modes and the contents of the files in a tar archive.
func unpack(t *testing.T, archive string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	command(t, dir, nil, "tar", "--extract", "--same-permissions", "--file", archive)
	files := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !info.ModTime().Equal(committed) {
			t.Errorf("%s is of %v, want the time of the commit", entry.Name(), info.ModTime())
		}
		files[entry.Name()] = fmt.Sprintf("%o %s", info.Mode().Perm(), content)
	}
	return files
}

// The sums are checked as CONTRIBUTING.md says.
func TestSums(t *testing.T) {
	dist := dryRun(t)
	all, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	out := command(t, dist, nil, "sha256sum", "--check", "SHA256SUMS")
	if ok := strings.Count(out, ": OK\n"); ok != len(all)-1 {
		t.Errorf("there are %d files, and the sums are those of %d:\n%s", len(all)-1, ok, out)
	}
	changed := filepath.Join(dist, "podsignal.oci.tar")
	if err := os.WriteFile(changed, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	check := exec.Command("sha256sum", "--check", "SHA256SUMS")
	check.Dir = dist
	if out, err := check.CombinedOutput(); err == nil || !strings.Contains(string(out), "podsignal.oci.tar: FAILED") {
		t.Errorf("a file was changed, and sha256sum says %v:\n%s", err, out)
	}
}

// command runs one in a folder, with more environment, and returns what it prints.
func command(t *testing.T, dir string, env []string, words ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(words, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}
