package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is remembered of a folder must never pass for what it shows now.
func TestFlatFolder(t *testing.T) {
	for name, change := range map[string]func(path func(string) string) error{
		"nothing":          func(func(string) string) error { return nil },
		"a time":           func(path func(string) string) error { return os.Chtimes(path("a"), time.Now(), time.Now()) },
		"content":          func(path func(string) string) error { return os.WriteFile(path("a"), []byte("x"), 0o644) },
		"a file made anew": func(path func(string) string) error { return os.Rename(path("../spare"), path("a")) },
		"two names":        func(path func(string) string) error { return exchange(path("a"), path("b")) },
		"a file less":      func(path func(string) string) error { return os.Remove(path("b")) },
		"a file more":      func(path func(string) string) error { return os.WriteFile(path("d"), []byte("4"), 0o644) },
		"a link for a file": func(path func(string) string) error {
			return replace(path("a"), func(p string) error { return os.Symlink("b", p) })
		},
		"a folder for it": func(path func(string) string) error {
			return replace(path("a"), func(p string) error { return os.Mkdir(p, 0o755) })
		},
		"the folder itself": func(path func(string) string) error { return exchange(path("."), path("../other")) },
		"a link to a folder": func(path func(string) string) error {
			return replace(path("."), func(p string) error { return os.Symlink("other", p) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := func(name string) string { return filepath.Join(dir, "flat", name) }
			for file, content := range map[string]string{"a": "1", "b": "2", "c": "3", "../spare": "5", "../other/a": "1", "../other/b": "6"} {
				must(t, os.MkdirAll(filepath.Dir(path(file)), 0o755))
				must(t, os.WriteFile(path(file), []byte(content), 0o644))
			}
			time.Sleep(2 * racy) // what was written just now is not remembered
			look := func(c *cache) [32]byte {
				s := newScan(t.Context(), c, nil)
				if _, err := s.path(filepath.Join(dir, "flat")); err != nil {
					t.Fatal(err)
				}
				return s.digest()
			}
			c := newCache()
			first := look(c)
			if len(c.flats) != 1 || look(c) != first {
				t.Fatalf("%d folders are remembered, want 1, and the same digest", len(c.flats))
			}
			must(t, change(path))
			if got, want := look(c), look(newCache()); got != want {
				t.Errorf("it shows %x, want %x", got[:6], want[:6])
			}
			if same := name == "nothing" || name == "a time"; (look(newCache()) == first) != same {
				t.Error("the change changed nothing, or too much")
			}
		})
	}
}

// exchange gives each of two the other's name.
func exchange(a, b string) error {
	aside := filepath.Clean(a) + ".aside"
	for _, names := range [][2]string{{filepath.Clean(a), aside}, {b, filepath.Clean(a)}, {aside, b}} {
		if err := os.Rename(names[0], names[1]); err != nil {
			return err
		}
	}
	return nil
}

func replace(path string, create func(string) error) error {
	path = filepath.Clean(path)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return create(path)
}
