package watcher

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// A notebook is a log that a test reads.
type notebook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *notebook) count(text string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Count(n.text.String(), text)
}

// stale waits for a snapshot that is stale, or is not, and shows no change.
func (l *live) stale(what string, want bool) {
	l.t.Helper()
	for {
		s := l.next()
		if s.Err != nil || s.Digest != l.last.Digest {
			l.t.Fatalf("%s: a change was seen (%v)", what, s.Err)
		}
		if (s.Stale != nil) == want {
			return
		}
	}
}

// A mount shows what was at a path of the host when it was made. What replaces that is
// never seen, which is noticed at once.
func TestStaleMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	for _, test := range []struct {
		name          string
		source, point string // what is mounted, and where; source is below host
		path          string // FILE
		act           func(t *testing.T, l *live)
		stales        int // how often it becomes stale
	}{
		{"edited in place", "conf", "conf", "conf", func(_ *testing.T, l *live) {
			for _, content := range []string{"2", "3"} {
				l.write("host/conf", content)
				l.changes("the file")
			}
		}, 0},
		{"one of a folder, edited in place", "conf", "app/conf", "app", func(_ *testing.T, l *live) {
			for _, content := range []string{"2", "3"} {
				l.write("host/conf", content)
				l.changes("the file")
				l.write("app/beside", content)
				l.changes("another")
				l.same("read again, now that it is old enough")
				must(t, os.Chmod(l.path("app"), 0o700))
				l.same("a look at what is as it was")
			}
		}, 0},
		{"renamed over", "conf", "conf", "conf", func(t *testing.T, l *live) {
			l.write("host/new", "2")
			must(t, os.Rename(l.path("host/new"), l.path("host/conf")))
			l.stale("renamed over", true)
		}, 1},
		{"one of a folder, renamed over", "conf", "app/conf", "app", func(t *testing.T, l *live) {
			l.write("host/new", "2")
			must(t, os.Rename(l.path("host/new"), l.path("host/conf")))
			l.stale("renamed over", true)
			l.write("app/beside", "1") // all else goes on
			l.changes("another file")
			if l.last.Stale == nil {
				t.Error("it is not stale any more")
			}
		}, 1},
		{"moved away and written anew", "conf", "conf", "conf", func(t *testing.T, l *live) {
			must(t, os.Rename(l.path("host/conf"), l.path("host/conf.bak")))
			l.stale("moved away", true)
			l.write("host/conf", "2")
			l.write("host/conf.bak", "3") // what is mounted is still watched
			l.changes("the old file")
			if l.last.Stale == nil {
				t.Error("it is not stale any more")
			}
		}, 1},
		{"moved away and back", "conf", "conf", "conf", func(t *testing.T, l *live) {
			must(t, os.Rename(l.path("host/conf"), l.path("host/conf.bak")))
			l.stale("moved away", true)
			must(t, os.Rename(l.path("host/conf.bak"), l.path("host/conf")))
			l.stale("moved back", false)
			must(t, os.Remove(l.path("host/conf")))
			l.stale("removed", true)
		}, 2},
		{"with subPath", "..2026_11_21_07_17_43.1/conf", "conf", "conf", func(t *testing.T, l *live) {
			must(t, os.RemoveAll(l.path("host/..2026_11_21_07_17_43.1")))
			l.stale("removed by the kubelet", true)
		}, 1},
		{"the folder of FILE, moved away", "folder", "folder", "folder", func(t *testing.T, l *live) {
			must(t, os.Rename(l.path("host/folder"), l.path("host/folder.bak")))
			l.stale("moved away", true)
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			source := filepath.Join(dir, "host", test.source)
			file := source
			if strings.Contains(test.source, "folder") {
				file = filepath.Join(source, "sub/file")
			}
			must(t, os.MkdirAll(filepath.Dir(file), 0o755))
			must(t, os.WriteFile(file, []byte("1"), 0o644))
			must(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
			bind(t, source, filepath.Join(dir, test.point))
			var log notebook
			l := watchWith(t, dir, Options{Paths: []string{test.path}, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if l.last.Stale != nil {
				t.Errorf("stale at first: %v", l.last.Stale)
			}
			test.act(t, l)
			if n := log.count("mount is stale"); n != test.stales {
				t.Errorf("it is said %d times that a mount is stale, want %d", n, test.stales)
			}
		})
	}
}

// What no event tells of is found at the next resync, and what was so before, at the start.
func TestStaleMountWithoutEvent(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	for _, test := range []struct {
		name, path    string
		before, after func(t *testing.T, dir string)
	}{
		{"at the start", "conf", func(t *testing.T, dir string) { must(t, os.Remove(dir+"/host/conf")) }, nil},
		{"at a resync", "conf", nil, func(t *testing.T, dir string) { must(t, os.Remove(dir+"/host/conf")) }},
		{"above the folder that is watched", "folder/sub", nil, func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/host/folder", dir+"/host/folder.bak"))
		}},
		{"in the folder of FILE", "app", nil, func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir+"/host/folder"))
		}},
		{"beside a path that is gone", "conf", nil, func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/gone"))
			must(t, os.Remove(dir+"/host/conf"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.MkdirAll(dir+"/host/folder/sub", 0o755))
			must(t, os.WriteFile(dir+"/host/conf", nil, 0o644))
			must(t, os.WriteFile(dir+"/gone", nil, 0o644))
			bind(t, dir+"/host/conf", dir+"/conf")
			bind(t, dir+"/host/folder", dir+"/folder")
			bind(t, dir+"/host/folder", dir+"/app/deeper/sub")
			if test.before != nil {
				test.before(t, dir)
			}
			var log notebook
			w := New(Options{Paths: []string{filepath.Join(dir, test.path), dir + "/gone"}, Resync: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))})
			w.open = func() (*notifier, error) { return nil, unix.EMFILE }
			w.startNotify()
			look := func() {
				w.resync = time.Time{}
				for !w.look(t.Context()) {
				}
			}
			look()
			if (w.current.Stale != nil) != (test.before != nil) {
				t.Errorf("at first: %v", w.current.Stale)
			}
			if test.after != nil {
				test.after(t, dir)
			}
			for range 2 {
				look()
				if w.current.Stale == nil {
					t.Error("it is not stale")
				}
			}
			if n := log.count("mount is stale"); n != 1 {
				t.Errorf("it is said %d times, want once", n)
			}
		})
	}
}

// A look that fails midway comes across no mount behind that, and forgets nothing of it.
func TestStaleMountBehindAFault(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/host", 0o755))
	bind(t, dir+"/host", dir+"/app/deeper/sub")
	var log notebook
	w := New(Options{Paths: []string{dir + "/app"}, Resync: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))})
	w.open = func() (*notifier, error) { return nil, unix.EMFILE }
	w.startNotify()
	look := func(fails bool) {
		t.Helper()
		w.resync = time.Time{}
		for !w.look(t.Context()) {
		}
		if fails != (w.current.Err != nil) {
			t.Errorf("the look says %v", w.current.Err)
		}
	}
	look(false)
	must(t, os.Remove(dir+"/host"))
	look(false)
	must(t, os.Rename(dir+"/app/deeper", dir+"/deeper"))
	must(t, os.Symlink(".", dir+"/app/deeper")) // a loop
	look(true)
	if w.current.Stale == nil {
		t.Error("while the look fails the mount is not stale")
	}
	must(t, os.Remove(dir+"/app/deeper"))
	must(t, os.Rename(dir+"/deeper", dir+"/app/deeper"))
	look(false)
	if n := log.count("mount is stale"); n != 1 {
		t.Errorf("it is said %d times, want once", n)
	}
}

// A volume of the kubelet's is not stale, whatever is swapped in it, and needs no look at
// the mounts after the first.
func TestVolumeIsNotStale(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	dir := t.TempDir()
	tmpfs(t, filepath.Join(dir, "v"))
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1"}))
	for _, path := range []string{"v", "v/a"} {
		l := watch(t, dir, path)
		l.volume(volumetest.Files{"a": path})
		l.changes("a key")
		if l.last.Stale != nil || len(l.w.fixed) > 0 {
			t.Errorf("FILE=%s: stale: %v; the mounts %v are looked at", path, l.last.Stale, l.w.fixed)
		}
	}
}

// That a single file which is a mount of its own is opened is seen as well.
func TestOpensOfSingleFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "host"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "host/conf"), []byte("1"), 0o644))
	bind(t, filepath.Join(dir, "host/conf"), filepath.Join(dir, "conf"))
	l := watch(t, dir, "conf")
	opens, err := l.w.Opens()
	must(t, err)
	t.Cleanup(func() { must(t, opens.Close()) })
	if opens.Seen() {
		t.Error("opened before anybody has")
	}
	_, err = os.ReadFile(l.path("conf"))
	must(t, err)
	if !opens.Seen() {
		t.Error("that it is opened is not seen")
	}
}
