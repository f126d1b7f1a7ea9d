package watcher

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// After a swap the paths show what somebody sees who has never looked before.
func TestAgain(t *testing.T) {
	for name, test := range map[string]struct {
		paths       []string // below the folder
		before      volumetest.Files
		after       volumetest.Files
		other       volumetest.Files // of a second volume, which is swapped too
		exclude     []string
		first, then func(v, data string) error // are done before the first scan, and after the swap; ..data leads to data
		anew        bool                       // the paths have to be walked again
	}{
		"a key": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1", "b": "2"}, after: volumetest.Files{"a": "1", "b": "3"},
		},
		"nothing": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1", "b": "2"}, after: volumetest.Files{"a": "1", "b": "2"},
		},
		"a file of a volume": {
			paths: []string{"v/b"}, before: volumetest.Files{"a": "1", "b": "2"}, after: volumetest.Files{"a": "1", "b": "3"},
		},
		"a volume and a file of it": {
			paths: []string{"v", "v/b"}, before: volumetest.Files{"a": "1", "b": "2"}, after: volumetest.Files{"a": "1", "b": "3"},
		},
		"an empty volume": {
			paths: []string{"v"}, before: volumetest.Files{}, after: volumetest.Files{}, anew: true,
		},
		"two volumes": {
			paths: []string{"v", "w"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "2"}, other: volumetest.Files{"a": "3"}, anew: true,
		},
		"a volume through a link": {
			paths: []string{"link"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "2"}, anew: true,
			first: func(v, _ string) error { return os.Symlink("v", filepath.Join(filepath.Dir(v), "link")) },
		},
		"a folder of links to a volume": {
			paths: []string{"app"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "2"}, anew: true,
			first: func(v, _ string) error {
				app := filepath.Join(filepath.Dir(v), "app")
				return errors.Join(os.Mkdir(app, 0o755), os.Symlink("../v/a", filepath.Join(app, "..a")))
			},
			then: func(v, _ string) error { return os.Remove(filepath.Join(filepath.Dir(v), "app/..a")) },
		},
		"a folder for a file that EXCLUDE leaves out": {
			paths: []string{"v/a", "v/b"}, exclude: []string{"a"}, anew: true,
			before: volumetest.Files{"a": "1", "b": "1"}, after: volumetest.Files{"a/x": "1", "b": "2"},
		},
		"a link to a link to the folder": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "2"}, anew: true,
			then: func(v, data string) error {
				tmp := filepath.Join(v, "..data_tmp")
				return errors.Join(os.Symlink(filepath.Base(data), filepath.Join(v, "..cur")), os.Symlink("..cur", tmp), os.Rename(tmp, filepath.Join(v, "..data")))
			},
		},
		"a file in a folder": {
			paths: []string{"v"}, before: volumetest.Files{"sub/a": "1"}, after: volumetest.Files{"sub/a": "2", "sub/b": "3"}, anew: true,
		},
		"a folder in a folder, with the name of the kubelet's link": {
			paths: []string{"v"}, before: volumetest.Files{"sub/..data/a": "1"}, after: volumetest.Files{"sub/..data/a": "2"}, anew: true,
		},
		"a file in a folder that showed none": {
			paths: []string{"v"}, exclude: []string{"sub/*.bak"}, anew: true,
			before: volumetest.Files{"a": "1", "sub/a.bak": "1"}, after: volumetest.Files{"a": "1", "sub/a.bak": "1", "sub/a": "2"},
		},
		"a file for a link to nothing, which a kubelet that died has left": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "1", "b": "2"}, anew: true,
			first: func(v, _ string) error { return os.Symlink("..data/b", filepath.Join(v, "b")) },
		},
		"the same, where FILE is that file": {
			paths: []string{"v/a", "v/b"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "1", "b": "2"}, anew: true,
			first: func(v, _ string) error { return os.Symlink("..data/b", filepath.Join(v, "b")) },
		},
		"a link in a volume": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1", "b": "2"}, after: volumetest.Files{"a": "3"}, anew: true,
			then: func(_, data string) error { return os.Symlink("a", filepath.Join(data, "b")) },
		},
		"a file for a link in a volume": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1", "b": "1"}, after: volumetest.Files{"a": "2", "b": "3"}, anew: true,
			first: func(_, data string) error {
				b := filepath.Join(data, "b")
				return errors.Join(os.Remove(b), os.Symlink("a", b))
			},
		},
		"a folder for a file": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{}, anew: true,
			then: func(v, data string) error {
				return errors.Join(os.Mkdir(filepath.Join(data, "a"), 0o755), os.WriteFile(filepath.Join(data, "a/b"), []byte("2"), 0o644),
					os.Symlink("..data/a", filepath.Join(v, "a")))
			},
		},
		"a volume that leads elsewhere": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "2"}, anew: true,
			then: func(v, data string) error {
				tmp := filepath.Join(v, "..data_tmp")
				return errors.Join(os.Symlink("../v/"+filepath.Base(data), tmp), os.Rename(tmp, filepath.Join(v, "..data")))
			},
		},
		"a volume in the place of another": {
			paths: []string{"v"}, before: volumetest.Files{"a": "1"}, after: volumetest.Files{"a": "2"}, anew: true,
			then: func(v, _ string) error { return errors.Join(os.Rename(v, v+".old"), os.CopyFS(v, os.DirFS(v+".old"))) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(volume string, files volumetest.Files) {
				if err := volumetest.Write(filepath.Join(dir, volume), files); err != nil {
					t.Fatal(err)
				}
			}
			watch := func() *Watcher {
				var paths []string
				for _, path := range test.paths {
					paths = append(paths, filepath.Join(dir, path))
				}
				w := New(Options{Paths: paths, Exclude: test.exclude, Log: slog.New(slog.DiscardHandler)})
				w.startNotify()
				t.Cleanup(w.stopNotify)
				return w
			}
			scan := func(w *Watcher) (s *scan, digest [32]byte) {
				s, digest, stable, err := w.scan(t.Context())
				if !stable || err != nil {
					t.Fatalf("stable %v, %v", stable, err)
				}
				w.seen = digest
				return s, digest
			}
			write("v", test.before)
			if test.other != nil {
				write("w", test.before)
			}
			change := func(volume func(v, data string) error) {
				if volume == nil {
					return
				}
				v := filepath.Join(dir, "v")
				data, err := filepath.EvalSymlinks(filepath.Join(v, "..data"))
				if err := errors.Join(err, volume(v, data)); err != nil {
					t.Fatal(err)
				}
			}
			change(test.first)
			w := watch()
			before, _ := scan(w)
			write("v", test.after)
			if test.other != nil {
				write("w", test.other)
			}
			done, err := os.Readlink(filepath.Join(dir, "v/..data"))
			must(t, err)
			change(test.then)
			w.lastStep, w.burst.done = true, done
			now, got := scan(w)
			if _, want := scan(watch()); got != want {
				t.Error("it shows something else than to a new one")
			}
			if anew := now != before; anew != test.anew {
				t.Errorf("the paths are walked again: %t", anew)
			}
		})
	}
}

// Whatever comes and goes in a volume shows when it is whole.
func TestManySwaps(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "0"}))
	l := watch(t, dir, "v")
	for i := range 100 {
		files := volumetest.Files{"a": fmt.Sprint(i + 1)} // that a snapshot must come
		for n, name := range []string{"b", "c", "sub/d", "sub/e"} {
			if r.IntN(2+3*n) == 0 {
				files[name] = fmt.Sprint(r.IntN(2))
			}
		}
		l.volume(files)
		l.changes("a swap")
		shows(t, fmt.Sprintf("seed %d, swap %d", seed, i+1), l)
	}
}

// untilSettled looks until that is settled, as it is when the files are old enough.
func untilSettled(t *testing.T, w *Watcher) {
	t.Helper()
	for !w.look(t.Context()) {
		time.Sleep(10 * time.Millisecond)
	}
}

// A second update that is over before the first is looked at, and its last step is yet to be
// heard of, does not show with the names of the first.
func TestOvertakenUpdate(t *testing.T) {
	v := filepath.Join(t.TempDir(), "v")
	must(t, volumetest.Write(v, volumetest.Files{"a": "1"}))
	w := New(Options{Paths: []string{v}, Debounce: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	w.startNotify()
	t.Cleanup(w.stopNotify)
	untilSettled(t, w)
	must(t, volumetest.Write(v, volumetest.Files{"a": "2"}))
	must(t, volumetest.Write(v, volumetest.Files{"a": "3", "d": "3"}))
	time.Sleep(2 * w.opts.Debounce) // so that age does not tell either
	for done := false; !done; done = w.look(t.Context()) {
		for !w.event(<-w.notify.events) {
		}
	}
	if files := *w.files.Load(); len(files) != 2 {
		t.Errorf("it is whole with %q", files)
	}
}

// A resync walks the paths, though the kubelet has just taken its last step.
func TestResyncAtSwap(t *testing.T) {
	v := filepath.Join(t.TempDir(), "v")
	must(t, volumetest.Write(v, volumetest.Files{"a": "1"}))
	w := New(Options{Paths: []string{v}, Resync: time.Hour, Log: slog.New(slog.DiscardHandler)})
	w.startNotify()
	t.Cleanup(w.stopNotify)
	swap := func(content string) *scan {
		must(t, volumetest.Write(v, volumetest.Files{"a": content}))
		for !w.event(<-w.notify.events) {
		}
		untilSettled(t, w)
		return w.last
	}
	untilSettled(t, w)
	before := w.last
	if before == nil || swap("2") != before {
		t.Fatal("the paths are walked after any swap")
	}
	w.resync = time.Now()
	if swap("3") == before {
		t.Error("they are not walked at a resync")
	}
}
