package watcher

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// What a path is, and what it takes to watch it; no file is opened for that.
func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	if err := volumetest.Write(in("v"), volumetest.Files{"key": "1", "sub/key": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(in("plain/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("plain/sub/file"), []byte("3"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", in("loop")); err != nil {
		t.Fatal(err)
	}
	for path, test := range map[string]struct {
		kind    Kind
		files   int
		folders []string
	}{
		"v":              {KindVolume, 2, []string{"v"}},
		"v/key":          {KindInVolume, 1, []string{"v"}},
		"v/sub":          {KindInVolume, 1, []string{"v"}},
		"plain":          {KindFolder, 1, []string{"plain", "plain/sub"}},
		"plain/sub/file": {KindFile, 1, []string{"plain/sub"}},
		"no/such/file":   {KindAbsent, 0, []string{"."}},
		"loop":           {KindUnusable, 0, []string{"."}},
	} {
		t.Run(path, func(t *testing.T) {
			w := New(Options{})
			w.files.Store(&[]string{in("v/..data/key"), in("v/..data/sub/key"), in("plain/sub/file")})
			opens, err := w.Opens()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = opens.Close() }()
			d, err := Describe(t.Context(), Options{Paths: []string{in(path)}})
			if err != nil {
				t.Fatal(err)
			}
			if opens.Seen() {
				t.Error("a file was opened")
			}
			p := d.Paths[0]
			if p.Path != in(path) || p.Kind != test.kind || p.Files != test.files {
				t.Errorf("%+v", p)
			}
			if bad := test.kind == KindAbsent || test.kind == KindUnusable; bad != (p.Err != nil) {
				t.Errorf("error %v", p.Err)
			}
			var folders []string
			for _, folder := range test.folders {
				folders = append(folders, in(folder))
			}
			if diff := cmp.Diff(folders, d.Folders); diff != "" {
				t.Errorf("folders (-want +got)\n%s", diff)
			}
			if d.Inotify != nil {
				t.Errorf("inotify: %v", d.Inotify)
			}
		})
	}
}

// Instances and watches of this very process are visible.
func TestInotifyLimits(t *testing.T) {
	before := readLimits()
	n, err := newNotifier()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.close() }()
	if err := n.add(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if before.MaxInstances <= 0 || before.MaxWatches <= 0 {
		t.Errorf("limits %+v", before)
	}
	own := ownInotify(t)
	if after := readLimits(); after.Instances < own || after.Watches < 1 || own < 1 {
		t.Errorf("%+v, of which %d instances are ours", after, own)
	}
}

// ownInotify counts this process's instances. Those of other processes come and go.
func ownInotify(t *testing.T) (n int) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == "anon_inode:inotify" {
			n++
		}
	}
	return n
}
