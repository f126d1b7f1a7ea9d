package watcher

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

func TestValidatePattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"*.tmp":                     "",
		"**/*.tmp":                  "",
		"cache":                     "",
		"cache/**":                  "",
		"*/*":                       "", // the files of the folder itself are left
		"**/*.{log,lock}":           "",
		"..old":                     "",
		`\{a\}`:                     "",
		"":                          "is empty",
		"/etc/conf/*.tmp":           "is absolute",
		"[a":                        "is not a valid pattern",
		"{a":                        "is not a valid pattern",
		`a\`:                        "is not a valid pattern",
		".":                         "names FILE itself",
		"cache/":                    "use cache",
		"./cache":                   "use cache",
		"a//b":                      "use a/b",
		"a/../b":                    "use b",
		"../b":                      "use b",
		"*":                         "leaves out all",
		"**":                        "leaves out all",
		"**/*":                      "leaves out all",
		"*/**":                      "leaves out all",
		"**/**/*/**":                "leaves out all",
		strings.Repeat("{", 10_000): "is not a valid pattern",
	} {
		err := ValidatePattern(pattern)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q %v, want it to be valid", pattern, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: the error is %v, want one with %q", pattern, err, want)
		}
	}
}

// What is left of a folder, and of that which has to be watched.
func TestExclude(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"a", "a.tmp", "sub/b", "sub/b.tmp", "sub/deeper/c", "x.tmp/d"} {
		path = filepath.Join(dir, "plain", path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("1"), 0o644))
	}
	must(t, os.Symlink("plain", filepath.Join(dir, "link")))
	must(t, os.MkdirAll(filepath.Join(dir, "links"), 0o755))
	must(t, os.Symlink("../plain/sub", filepath.Join(dir, "links/l")))
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"k": "1", "k.tmp": "1", "sub/n": "1", "sub/n.tmp": "1"}))
	for _, test := range []struct {
		path, exclude string // patterns, separated by spaces
		shown         string
		folders       string
	}{
		{"plain", "", "a a.tmp sub/b sub/b.tmp sub/deeper/c x.tmp/d", "plain plain/sub plain/sub/deeper plain/x.tmp"},
		{"plain", "*.tmp", "a sub/b sub/b.tmp sub/deeper/c", "plain plain/sub plain/sub/deeper"},
		{"plain", "**/*.tmp", "a sub/b sub/deeper/c", "plain plain/sub plain/sub/deeper"},
		{"plain", "*/**/*.tmp", "a a.tmp sub/b sub/deeper/c x.tmp/d", "plain plain/sub plain/sub/deeper plain/x.tmp"},
		{"plain", "sub/**", "a a.tmp x.tmp/d", "plain plain/x.tmp"},
		{"plain", "sub", "a a.tmp x.tmp/d", "plain plain/x.tmp"},
		{"plain", "sub/*", "a a.tmp x.tmp/d", "plain plain/sub plain/x.tmp"},
		{"plain", "**/deeper/** x.tmp", "a a.tmp sub/b sub/b.tmp", "plain plain/sub"},
		{"plain", "plain/**", "a a.tmp sub/b sub/b.tmp sub/deeper/c x.tmp/d", "plain plain/sub plain/sub/deeper plain/x.tmp"},
		{"link", "**/*.tmp sub/deeper", "a sub/b", ". plain plain/sub"},
		{"links", "sub", "l/b l/b.tmp l/deeper/c", "links plain/sub plain/sub/deeper"}, // by the reader's names
		{"links", "l/*.tmp l/deeper", "l/b", "links plain/sub"},
		{"v", "**/*.tmp", "k sub/n", "v"},
		{"v", "sub", "k k.tmp", "v"},
		{"v/sub", "*.tmp", "n", "v"},
		{"v", "..* **/.*", "k k.tmp sub/n sub/n.tmp", "v"},
		{"plain/a.tmp", "*.log", "plain/a.tmp", "plain"},
		{"plain/a.tmp", "**/*.tmp", "", "plain"},
		{"v/k.tmp", "*.tmp", "", "v"},
	} {
		t.Run(test.path+" without "+test.exclude, func(t *testing.T) {
			opts := Options{Paths: []string{filepath.Join(dir, test.path)}, Exclude: strings.Fields(test.exclude)}
			s := newScan(t.Context(), newCache(), opts.Exclude)
			kind, err := s.path(opts.Paths[0])
			must(t, err)
			var shown []string
			for _, f := range s.entries {
				rel, err := filepath.Rel(opts.Paths[0], f.path)
				must(t, err)
				if rel == "." {
					rel = test.path
				}
				shown = append(shown, rel)
			}
			slices.Sort(shown)
			if got := strings.Join(shown, " "); got != test.shown {
				t.Errorf("shows %q, want %q", got, test.shown)
			}
			var folders []string
			for _, f := range s.folders {
				rel, err := filepath.Rel(dir, f.path)
				must(t, err)
				folders = append(folders, rel)
			}
			slices.Sort(folders)
			if got := strings.Join(folders, " "); got != test.folders {
				t.Errorf("watches %q, want %q", got, test.folders)
			}
			d, err := Describe(t.Context(), opts)
			must(t, err)
			want := PathDescription{Path: opts.Paths[0], Kind: kind, Files: s.files}
			if diff := cmp.Diff(want, d.Paths[0]); diff != "" {
				t.Errorf("Describe differs (-want +got)\n%s", diff)
			}
			if want := test.shown == ""; want != (kind == KindExcluded) {
				t.Errorf("it is a %s", kind)
			}
		})
	}
}

// A busy file that is excluded neither begins a burst nor keeps one from ending.
func TestExcludedFileIsBusy(t *testing.T) {
	got := settle(t, []string{"."}, func(r *rig) {
		r.exclude = []string{"**/*.log"}
		r.write("0")
		must(r.t, os.WriteFile(filepath.Join(r.dir, "busy.log"), []byte("0"), 0o644))
	}, func(r *rig) {
		busy := func(from, to time.Duration) {
			for ; from < to; from += 50 * ms {
				must(r.t, os.WriteFile(filepath.Join(r.dir, "busy.log"), []byte(fmt.Sprint(from)), 0o644))
				r.event(fsnotify.Write, "busy.log")
				time.Sleep(50 * ms)
			}
		}
		busy(0, 10*time.Second)
		if r.watcher.Settling() {
			t.Error("the excluded file has begun a burst")
		}
		r.write("1")
		r.event(fsnotify.Write, "file")
		busy(10*time.Second, 20*time.Second)
	})
	if diff := cmp.Diff([]time.Duration{10*time.Second + 100*ms}, got); diff != "" {
		t.Errorf("changes (-want +got)\n%s", diff)
	}
}

// What is excluded in one place may be shown in another.
func TestExcludedElsewhere(t *testing.T) {
	for _, test := range []struct {
		name  string
		paths []string
		link  string // to log; empty: none
	}{
		{"by a file of its own", []string{"d", "d/sub/log"}, ""},
		{"by a link", []string{"d"}, "d/link"},
		{"by a link to the folder", []string{"d"}, "d/other"},
		{"by the folder itself", []string{"d", "d/sub"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.MkdirAll(filepath.Join(dir, "d/sub"), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "d/sub/log"), []byte("1"), 0o644))
			switch test.link {
			case "d/link":
				must(t, os.Symlink("sub/log", filepath.Join(dir, test.link)))
			case "d/other":
				must(t, os.Symlink("sub", filepath.Join(dir, test.link)))
			}
			l := watchWith(t, dir, Options{Paths: test.paths, Exclude: []string{"sub/log"}})
			l.write("d/sub/log", "2")
			l.changes("the file")
		})
	}
}

// An excluded key of a volume changes nothing, comes or goes, and a change of another
// beside it is seen; nothing of it is opened.
func TestExcludedKey(t *testing.T) {
	dir := t.TempDir()
	volume := func(files volumetest.Files) { must(t, volumetest.Write(filepath.Join(dir, "v"), files)) }
	volume(volumetest.Files{"a": "1", "x.tmp": "1"})
	l := watchWith(t, dir, Options{Paths: []string{"v"}, Exclude: []string{"*.tmp", "sub"}})
	if got, want := len(*l.w.files.Load()), 1; got != want {
		t.Errorf("%d files were read, want %d", got, want)
	}
	for _, step := range []struct {
		what    string
		files   volumetest.Files
		changes bool
	}{
		{"the excluded key", volumetest.Files{"a": "1", "x.tmp": "2"}, false},
		{"both", volumetest.Files{"a": "2", "x.tmp": "3"}, true},
		{"another excluded key", volumetest.Files{"a": "2", "x.tmp": "3", "y.tmp": "1", "sub/b": "1"}, false},
		{"that one and the other", volumetest.Files{"a": "3", "x.tmp": "3", "y.tmp": "2", "sub/b": "2"}, true},
		{"without the excluded keys", volumetest.Files{"a": "3"}, false},
		{"a new key", volumetest.Files{"a": "3", "b": "1"}, true},
		{"an excluded key again, and a change", volumetest.Files{"a": "4", "b": "1", "x.tmp": "1"}, true},
		{"a key gone", volumetest.Files{"a": "4", "x.tmp": "1"}, true},
	} {
		volume(step.files)
		if step.changes {
			l.changes(step.what)
		} else {
			l.same(step.what)
		}
	}
}

// An excluded file that is unreadable, or incomplete, does not matter.
func TestExcludedIsNotOpened(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("1"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "x.tmp"), []byte("1"), 0o644))
	must(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	must(t, os.Symlink("..", filepath.Join(dir, "sub/loop")))
	w := New(Options{})
	w.files.Store(&[]string{filepath.Join(dir, "x.tmp")})
	opens, err := w.Opens()
	must(t, err)
	defer func() { must(t, opens.Close()) }()
	l := watchWith(t, dir, Options{Paths: []string{"."}, Exclude: []string{"*.tmp", "sub"}})
	l.write("a", "2")
	l.changes("a file that counts")
	if opens.Seen() {
		t.Error("the excluded file was opened")
	}
	if l.last.Err != nil {
		t.Errorf("the excluded folder is an error: %v", l.last.Err)
	}
}

// FILE and EXCLUDE that contradict each other are logged, once.
func TestExcludedFileIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	var log bytes.Buffer
	w := New(Options{Paths: []string{path}, Exclude: []string{"**/*.log"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		must(t, w.walk(newScan(t.Context(), w.cache, w.opts.Exclude)))
	}
	must(t, os.WriteFile(path, nil, 0o644))
	for range 2 {
		must(t, w.walk(newScan(t.Context(), w.cache, w.opts.Exclude)))
	}
	for _, said := range []string{"does not exist yet", "EXCLUDE matches"} {
		if n := strings.Count(log.String(), said); n != 1 {
			t.Errorf("%q is said %d times, want 1:\n%s", said, n, log.String())
		}
	}
	must(t, os.Remove(path))
	must(t, w.walk(newScan(t.Context(), w.cache, w.opts.Exclude)))
}

// What git keeps for itself does not count, and is not watched, unless FILE names it.
func TestGit(t *testing.T) {
	for _, test := range []struct {
		path, file string
		watches    int // if it does not count
	}{
		{"d", "d/.git", 2},
		{"d", "d/sub/.git", 3},
		{"d", "d/.git/config", 2},
		{"d", "d/sub/.git/config", 3},
		{"d/.git", "d/.git/modules/x/.git", 4},
		{"d", "d/.gitignore", 0},
		{"d", "d/git/config", 0},
		{"d/.git", "d/.git", 0},
		{"d/.git", "d/.git/config", 0},
		{"d/.git/config", "d/.git/config", 0},
		{"d/link", "d/.git/config", 0},
	} {
		t.Run(test.path+" "+test.file, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
			must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(test.file)), 0o755))
			if test.path == "d/link" {
				must(t, os.Symlink(".git/config", filepath.Join(dir, test.path)))
			}
			l := watch(t, dir, test.path, "beside")
			for _, content := range []string{"1", "2"} {
				l.write(test.file, content)
				if test.watches == 0 {
					l.changes(test.file)
					continue
				}
				l.write("beside", content)
				l.changes("another file")
				if s := *l.w.files.Load(); len(s) != 1 {
					t.Errorf("%q are shown", s)
				}
				takes(t, taken{1, test.watches})
			}
		})
	}
	f := folder{relative: []string{""}, names: map[string]bool{}}
	if f.matters(gitEntry) {
		t.Error("events of git's matter")
	}
	f.names[gitEntry] = true
	if !f.matters(gitEntry) {
		t.Error("events of what FILE names do not matter")
	}
}
