package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A commit is built on two paths, once with a git repository around it and Go's present cache,
// and once with neither: the binary, the layer and all else are the same bytes.
func TestPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles podsignal anew, which takes a minute: run without -short")
	}
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "somewhere", "else")
	for _, dir := range []string{first, second} {
		copySources(t, dir)
	}
	command(t, first, nil, "git", "init", "--quiet")
	command(t, first, nil, "git", "add", ".")
	command(t, first, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message=test")

	got := buildIn(t, first, "-buildvcs=auto")
	t.Setenv("GOCACHE", t.TempDir())
	want := buildIn(t, second, "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("built on two paths it differs:\n%s", diff)
	}
}

// buildIn returns the digests of what is built from the repository in a folder.
func buildIn(t *testing.T, source, goflags string) map[string]string {
	t.Helper()
	t.Setenv("GOFLAGS", goflags)
	r := release{"1.2.3", "abcdef", committed}
	c, err := newCompiler(source, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() })
	p, out := podsignal, t.TempDir()
	p.platforms = p.platforms[:1]
	if err := r.buildProgram(out, p, c.compile); err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string)
	add := func(name, content string) {
		sums[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	}
	for name, content := range unpack(t, filepath.Join(out, "podsignal-linux-amd64.tar.gz")) {
		if strings.Contains(content, source) {
			t.Errorf("%s has the path that it was built on", name)
		}
		add("in the archive: "+name, content)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		add(entry.Name(), string(content))
	}
	for _, image := range imagesIn(t, filepath.Join(out, "podsignal.oci.tar")) {
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := layers[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		add("layer", digest.String())
	}
	if len(sums) != 7 {
		t.Errorf("compared are %d things, want 3 files in the archive, 3 files, and the layer", len(sums))
	}
	return sums
}

// copySources copies what git knows of, as it is now.
func copySources(t *testing.T, dir string) {
	t.Helper()
	for name := range strings.SplitSeq(command(t, top, nil, "git", "ls-files", "-z"), "\x00") {
		content, err := os.ReadFile(filepath.Join(top, name))
		if name == "" || os.IsNotExist(err) { // removed, and not yet committed
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
