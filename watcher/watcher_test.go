package watcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// deadline is for what must happen.
const deadline = 20 * time.Second

// A live is a Watcher with real inotify, whose snapshots the test takes one by one.
type live struct {
	t    *testing.T
	w    *Watcher
	dir  string
	out  chan Snapshot
	done chan bool // closed when Run has returned
	last Snapshot
}

func watch(t *testing.T, dir string, paths ...string) *live {
	t.Helper()
	return watchWith(t, dir, Options{Paths: paths})
}

// watchWith is watch with more options. The paths are relative to dir.
func watchWith(t *testing.T, dir string, opts Options) *live {
	t.Helper()
	return watchUntil(t.Context(), t, dir, opts)
}

// watchUntil is watchWith until ctx is done.
func watchUntil(ctx context.Context, t *testing.T, dir string, opts Options) *live {
	t.Helper()
	opts.Paths = slices.Clone(opts.Paths)
	for i, path := range opts.Paths {
		opts.Paths[i] = filepath.Join(dir, path)
	}
	opts.Debounce, opts.Resync = 50*ms, time.Minute
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	w := New(opts)
	l := &live{t: t, w: w, dir: dir, out: make(chan Snapshot), done: make(chan bool)}
	go func() {
		defer close(l.done)
		if err := w.Run(ctx, l.out); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(func() { <-l.done })
	l.last = l.next()
	return l
}

// next is the next snapshot, changed or not.
func (l *live) next() Snapshot {
	l.t.Helper()
	select {
	case s := <-l.out:
		return s
	case <-time.After(deadline):
		l.t.Fatal("no snapshot came")
		return Snapshot{}
	}
}

// changes waits for a good snapshot with another digest.
func (l *live) changes(what string) {
	l.t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		s := l.next()
		if s.Err == nil && s.Digest != l.last.Digest {
			l.last = s
			return
		}
	}
	l.t.Fatalf("%s: no change was seen", what)
}

// same waits for a good snapshot, which must show no change.
func (l *live) same(what string) {
	l.t.Helper()
	for {
		s := l.next()
		if s.Digest != l.last.Digest {
			l.t.Fatalf("%s: a change was seen", what)
		}
		if s.Err == nil {
			return
		}
	}
}

// fails waits for a snapshot with an error.
func (l *live) fails(what string) error {
	l.t.Helper()
	for {
		s := l.next()
		if s.Err != nil {
			return s.Err
		}
		if s.Digest != l.last.Digest {
			l.t.Fatalf("%s: a change was seen", what)
		}
	}
}

func (l *live) path(name string) string { return filepath.Join(l.dir, name) }

func (l *live) write(name, content string) {
	l.t.Helper()
	must(l.t, os.MkdirAll(filepath.Dir(l.path(name)), 0o755))
	must(l.t, os.WriteFile(l.path(name), []byte(content), 0o644))
}

func (l *live) volume(files volumetest.Files) {
	l.t.Helper()
	must(l.t, volumetest.Write(l.path("v"), files))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVolume(t *testing.T) {
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1", "sub/b": "1"}))
	l := watch(t, dir, "v")
	l.volume(volumetest.Files{"a": "2", "sub/b": "1"})
	l.changes("a key")
	l.volume(volumetest.Files{"a": "2", "sub/b": "2"})
	l.changes("a nested key")
	l.volume(volumetest.Files{"a": "2", "sub/b": "2", "c": "1"})
	l.changes("a new key")
	l.volume(volumetest.Files{"sub/b": "2", "c": "1"})
	l.changes("a key removed")
	l.volume(volumetest.Files{"sub/b": "2", "c": "1"})
	l.same("the same content, swapped")
}

// Whatever changes in several volumes shows at once and as it is.
func TestSeveralVolumes(t *testing.T) {
	dir := t.TempDir()
	write := func(volume string, files volumetest.Files) {
		must(t, volumetest.Write(filepath.Join(dir, volume), files))
	}
	for _, volume := range []string{"v", "w", "x"} {
		write(volume, volumetest.Files{"a": "0", "sub/b": "0"})
	}
	l := watch(t, dir, "v", "w/a", "x")
	for i := range 10 {
		content := fmt.Sprint(i + 1)
		write("v", volumetest.Files{"a": content, "sub/b": "0"})
		write("w", volumetest.Files{"a": content})
		l.changes("two volumes")
		shows(t, "two volumes", l)
		write("x", volumetest.Files{"a": content, "new" + content: "0"})
		l.changes("a new key")
		shows(t, "a new key", l)
		l.write("v/beside", content)
		write("v", volumetest.Files{"a": content, "sub/b": content})
		l.changes("a volume, and a file beside its keys")
		shows(t, "a volume, and a file beside its keys", l)
	}
}

// Begun tells of each change once, before it is whole.
func TestBegun(t *testing.T) {
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1"}))
	l := watch(t, dir, "v")
	for _, content := range []string{"2", "3"} {
		l.volume(volumetest.Files{"a": content})
		l.changes("a key")
		select {
		case <-l.w.Begun():
		default:
			t.Error("a change came that had not begun")
		}
	}
	select {
	case <-l.w.Begun():
		t.Error("a third change began")
	default:
	}
}

// A volume that has become a plain folder is one with what is in there, but an empty one is
// what an unmount leaves behind.
func TestVolumeBecomesFolder(t *testing.T) {
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1"}))
	l := watch(t, dir, "v")
	must(t, os.RemoveAll(l.path("v")))
	must(t, os.Mkdir(l.path("v"), 0o755))
	for err := l.fails("empty"); !strings.Contains(err.Error(), "is not a volume any more"); err = l.fails("empty") {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	l.write("v/a", "2")
	l.changes("a file in it")
	must(t, os.Remove(l.path("v/a")))
	l.changes("a folder may be empty")
}

// By polling a change is known from the first look that sees it, not from the second,
// which finds that it is whole: a program that starts between them has read it.
func TestChangedByPolling(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("1"), 0o644))
	w := New(Options{Paths: []string{path}, Log: slog.New(slog.DiscardHandler)})
	w.open = func() (*notifier, error) { return nil, unix.EMFILE }
	w.startNotify()
	w.look(t.Context())
	w.look(t.Context())
	before := w.current
	must(t, os.WriteFile(path, []byte("2"), 0o644))
	if w.look(t.Context()) {
		t.Fatal("seen once, it is taken for whole")
	}
	between := procfs.SinceBoot()
	if !w.look(t.Context()) || w.current.Digest == before.Digest {
		t.Fatal("seen twice, it is not taken for whole")
	}
	if w.current.Changed > between {
		t.Errorf("changed %v after a program that has read it began", w.current.Changed-between)
	}
}

func TestOneKeyOfVolume(t *testing.T) {
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1", "b": "1"}))
	l := watch(t, dir, "v/a")
	l.volume(volumetest.Files{"a": "1", "b": "2"})
	l.same("another key")
	l.volume(volumetest.Files{"a": "2", "b": "2"})
	l.changes("the key")
	l.volume(volumetest.Files{"b": "2"})
	if err := l.fails("the key removed"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
	l.volume(volumetest.Files{"a": "2", "b": "2"})
	l.same("the key back as it was")
}

// A volume costs one watch, however many keys and links it has.
func TestVolumeCostsOneWatch(t *testing.T) {
	dir := t.TempDir()
	files := volumetest.Files{"sub/a": "1", "sub/b": "1"}
	for i := range 50 {
		files[fmt.Sprint("key", i)] = "1"
	}
	must(t, volumetest.Write(filepath.Join(dir, "v"), files))
	for _, path := range []string{"v", "v/key1", "v/sub", "v/sub/a"} {
		s := newScan(t.Context(), newCache(), nil)
		if _, err := s.path(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
		if len(s.folders) != 1 {
			t.Errorf("FILE=%s needs %d watches, want 1", path, len(s.folders))
		}
	}
}

func TestPlainFolder(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	l := watch(t, dir, "d")
	l.write("d/a", "1")
	l.changes("a new file")
	l.write("d/sub/deeper/b", "1")
	l.changes("a file in new sub-folders")
	l.write("d/sub/deeper/b", "2")
	l.changes("that file again")
	must(t, os.Rename(l.path("d/a"), l.path("d/c")))
	l.changes("a renamed file")
	must(t, os.Chmod(l.path("d/c"), 0o600))
	l.same("a mode")
	must(t, unix.Mkfifo(l.path("d/fifo"), 0o644))
	l.same("a FIFO")
	must(t, os.Symlink("nowhere", l.path("d/dangling")))
	l.same("a link to nothing")
	l.write("d/nowhere", "1")
	l.changes("the link's file")
	must(t, os.RemoveAll(l.path("d")))
	if err := l.fails("the folder removed"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
	l.write("d/new", "1")
	l.changes("the folder made anew")
	l.write("d/new", "2")
	l.changes("a file of the new folder")
}

// A file written at once into a new folder is not lost, though the folder is not
// watched yet when it is written.
func TestNewFolderAtOnce(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	l := watch(t, dir, "d")
	for i := range 100 {
		l.write(fmt.Sprintf("d/%d/deeper/file", i), "1")
		l.changes("a file in a new folder")
	}
}

func TestManyFiles(t *testing.T) {
	const files = 20_000
	dir := t.TempDir()
	for i := range files {
		path := filepath.Join(dir, "d", fmt.Sprint(i%100), fmt.Sprint(i))
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("1"), 0o644))
	}
	l := watch(t, dir, "d")
	l.write("d/99/19999", "2")
	l.changes("one of many")

	must(t, os.Mkdir(l.path("more"), 0o755))
	for i := range maxEntries {
		must(t, os.Symlink("nowhere", l.path(fmt.Sprint("more/", i))))
	}
	must(t, os.Rename(l.path("more"), l.path("d/more")))
	if err := l.fails("too many"); !strings.Contains(err.Error(), "more than 100000 entries") {
		t.Errorf("the error is %q", err)
	}
}

// A folder that is moved loses its watch, also when it is back at once.
func TestFolderMovedAndBack(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "d/file"), []byte("1"), 0o644))
	l := watch(t, dir, "d")
	must(t, os.Rename(l.path("d"), l.path("e")))
	must(t, os.Rename(l.path("e"), l.path("d")))
	l.same("moved and back")
	l.write("d/file", "2")
	l.changes("a file in it")
}

func TestReplacedFile(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("1"), 0o644))
	l := watch(t, dir, "file")
	l.write("new", "2")
	must(t, os.Rename(l.path("new"), l.path("file")))
	l.changes("replaced by rename")
	l.write("file", "3")
	l.changes("written in place")
	must(t, os.Remove(l.path("file")))
	_ = l.fails("removed")
	l.write("file", "3")
	l.same("back as it was")
	must(t, os.Remove(l.path("file")))
	_ = l.fails("removed again")
	l.write("file/inner", "3")
	l.changes("a folder now")
}

func TestAbsentAtFirst(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "there"), []byte("1"), 0o644))
	l := watch(t, dir, "there", "not/yet/here")
	l.write("there", "2")
	l.changes("another path")
	l.write("not/yet/here", "1")
	l.changes("the path appeared")
	l.write("not/yet/here", "2")
	l.changes("and is live")
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	for _, release := range []string{"one", "two"} {
		must(t, os.MkdirAll(filepath.Join(dir, "releases", release, "conf"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "releases", release, "conf/file"), []byte(release), 0o644))
	}
	must(t, os.MkdirAll(filepath.Join(dir, "app"), 0o755))
	must(t, os.Symlink("releases/one", filepath.Join(dir, "current")))
	must(t, os.Symlink("../current/conf", filepath.Join(dir, "app/conf")))
	must(t, os.Symlink(filepath.Join(dir, "app/conf/file"), filepath.Join(dir, "link")))
	l := watch(t, dir, "link")

	must(t, os.Symlink("releases/two", l.path("next")))
	must(t, os.Rename(l.path("next"), l.path("current")))
	l.changes("a link two levels up")
	l.write("releases/two/conf/file", "three")
	l.changes("the file at the end")
	l.write("releases/one/conf/file", "four")
	must(t, os.Chmod(l.path("releases/two/conf/file"), 0o600))
	l.same("the file that it led to before")
}

func TestLoops(t *testing.T) {
	for _, test := range []struct {
		name, link, target, want string
	}{
		{"a link to itself", "d/loop", "loop", "loop of links"},
		{"a link to a folder above", "d/sub/up", "..", "leads back to"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.MkdirAll(filepath.Join(dir, "d/sub"), 0o755))
			l := watch(t, dir, "d")
			must(t, os.Symlink(test.target, l.path(test.link)))
			if err := l.fails(test.name); !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), l.path(test.link)) {
				t.Errorf("error %q does not name %q and %q", err, test.want, l.path(test.link))
			}
			must(t, os.Remove(l.path(test.link)))
			l.same("the link removed")
		})
	}
}

// A target that started between the change and the look has read it: Changed must
// not be later than the change by more than it takes to tell.
func TestChanged(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("1"), 0o644))
	written := procfs.SinceBoot()
	l := watch(t, dir, "file")
	// The kernel's clock for ctimes ticks every 10 ms at the slowest.
	if c := l.last.Changed; c < written-time.Second || c > written+10*ms {
		t.Errorf("first snapshot: changed %v after the write, want about 0", c-written)
	}
	before := procfs.SinceBoot()
	l.write("file", "2")
	l.changes("a write")
	first := l.last.Changed
	if first < before || first > before+l.last.Age() {
		t.Errorf("changed %v after the write began", first-before)
	}
	if age := l.last.Age(); age < 50*ms {
		t.Errorf("changed %v before the snapshot, want at least the quiet time of 50ms", age)
	}
	// Until then a program may have read an empty file.
	before = procfs.SinceBoot()
	l.write("file", "2")
	s := l.next()
	if s.Changed < before || s.Stirred.IsZero() {
		t.Errorf("the same bytes again: changed %v before they were written, stirred at %v", before-s.Changed, s.Stirred)
	}
	must(t, os.Chtimes(l.path("file"), time.Now(), time.Now()))
	if touched := l.next(); touched.Changed != s.Changed || !touched.Stirred.IsZero() {
		t.Errorf("a touch: Changed went from %v to %v, stirred at %v", s.Changed, touched.Changed, touched.Stirred)
	}
}
