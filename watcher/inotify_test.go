package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// taken is what this process takes of inotify.
type taken struct{ instances, watches int }

// takes waits until this process takes as much of inotify as it should.
func takes(t *testing.T, want taken) {
	t.Helper()
	for end := time.Now().Add(deadline); ; time.Sleep(ms) {
		var got taken
		fds, err := filepath.Glob("/proc/self/fd/*")
		must(t, err)
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err != nil || to != "anon_inode:inotify" {
				continue
			}
			info, err := os.ReadFile(strings.Replace(fd, "/fd/", "/fdinfo/", 1))
			if errors.Is(err, os.ErrNotExist) {
				continue // closed by now
			}
			must(t, err)
			got.instances++
			got.watches += bytes.Count(info, []byte("inotify wd:"))
		}
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v are taken, want %+v", got, want)
		}
	}
}

// shows waits until all Watchers show what is there.
func shows(t *testing.T, what string, all ...*live) {
	t.Helper()
	for i, l := range all {
		s := newScan(t.Context(), newCache(), nil)
		for _, p := range l.w.opts.Paths {
			_, err := s.path(p)
			must(t, err)
		}
		want := s.digest()
		for end := time.Now().Add(deadline); l.last.Err != nil || l.last.Digest != want; l.last = l.next() {
			if time.Now().After(end) {
				t.Fatalf("%s: watcher %d of %d does not show it", what, i+1, len(all))
			}
		}
	}
}

func TestSharedVolume(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir := t.TempDir()
			must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1", "b": "1"}))
			var in Inotify
			var all []*live
			var stop []context.CancelFunc
			for i := range n {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				path := []string{"v", "v/a", "v"}[i]
				all = append(all, watchUntil(ctx, t, dir, Options{Paths: []string{path}, Inotify: &in}))
				stop = append(stop, cancel)
			}
			takes(t, taken{1, 1})
			for i := range 10 {
				all[0].volume(volumetest.Files{"a": fmt.Sprint(i), "b": "1"})
				for _, l := range all {
					l.changes("a key")
				}
			}
			for i := range n {
				takes(t, taken{1, 1})
				all[i].volume(volumetest.Files{"a": "after", "b": fmt.Sprint(i), fmt.Sprint(i): "1"})
				shows(t, "after others have stopped", all[i:]...)
				stop[i]()
				<-all[i].done
			}
			takes(t, taken{0, 0})
			for _, l := range all {
				if n := l.w.Errors(); n > 0 {
					t.Errorf("%d errors, want none", n)
				}
			}
			l := watchWith(t, dir, Options{Paths: []string{"v"}, Inotify: &in})
			takes(t, taken{1, 1})
			l.volume(volumetest.Files{"a": "again"})
			l.changes("by one that came after all had gone")
		})
	}
}

// Whatever happens to a folder, all that follow it show what is there in the end, and
// none holds on to what is gone.
func TestSharedFolder(t *testing.T) {
	for _, test := range []struct {
		name    string
		mounted bool // d is a mount
		do      func(t *testing.T, d string)
		watches int
	}{
		{"made anew", false, func(t *testing.T, d string) {
			must(t, os.RemoveAll(d))
			must(t, os.Mkdir(d, 0o755))
		}, 2},
		{"moved and made anew", false, func(t *testing.T, d string) {
			must(t, os.Rename(d, d+".old"))
			must(t, os.Mkdir(d, 0o755))
		}, 2},
		{"moved and back", false, func(t *testing.T, d string) {
			must(t, os.Rename(d, d+".old"))
			must(t, os.Rename(d+".old", d))
		}, 2},
		{"moved, and then removed", false, func(t *testing.T, d string) {
			must(t, os.Rename(d, d+".old"))
			must(t, os.RemoveAll(d+".old"))
			must(t, os.Mkdir(d, 0o755))
		}, 2},
		{"replaced by a link", false, func(t *testing.T, d string) {
			must(t, os.Rename(d, d+".old"))
			must(t, os.Symlink(filepath.Base(d)+".old", d))
		}, 3}, // and the folder that the link is in
		{"exchanged", false, func(t *testing.T, d string) {
			must(t, os.Mkdir(d+".new", 0o755))
			must(t, unix.Renameat2(unix.AT_FDCWD, d, unix.AT_FDCWD, d+".new", unix.RENAME_EXCHANGE))
		}, 2},
		{"mounted over", false, func(t *testing.T, d string) { tmpfs(t, d) }, 2},
		{"mounted over twice", false, func(t *testing.T, d string) {
			tmpfs(t, d)
			must(t, os.WriteFile(filepath.Join(d, "between"), nil, 0o644))
			tmpfs(t, d)
		}, 2},
		{"unmounted", true, func(t *testing.T, d string) { must(t, unix.Unmount(d, 0)) }, 2},
		{"mounted anew", true, func(t *testing.T, d string) {
			must(t, unix.Unmount(d, 0))
			tmpfs(t, d)
		}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			d := filepath.Join(dir, "d")
			must(t, os.Mkdir(d, 0o755))
			if (test.mounted || strings.HasPrefix(test.name, "mounted")) && os.Geteuid() != 0 {
				t.Skip("run as root: it mounts file systems")
			}
			if test.mounted {
				tmpfs(t, d)
			}
			must(t, os.WriteFile(filepath.Join(d, "file"), []byte("1"), 0o644))
			must(t, os.MkdirAll(filepath.Join(dir, "other"), 0o755))
			var in Inotify
			var all []*live
			for range 3 {
				all = append(all, watchWith(t, dir, Options{Paths: []string{"d", "other"}, Inotify: &in}))
			}
			takes(t, taken{1, 2})
			l := all[0]
			for i := range 5 {
				if i == 0 {
					test.do(t, d)
				}
				// A mount tells no one. What else changes makes all of them look.
				l.write("other/file", fmt.Sprint(test.name, i))
				shows(t, "the other folder", all...)
				l.write("d/file", fmt.Sprint(i))
				shows(t, "the folder", all...)
				l.write("d/new", fmt.Sprint(i))
				shows(t, "a new file in it", all...)
			}
			takes(t, taken{1, test.watches})
			for i, l := range all {
				// What is gone for a moment is one, and so is a watch that is lost.
				if n := l.w.Errors(); n > 5 {
					t.Errorf("watcher %d: %d errors: they disturb each other", i, n)
				}
				if l.w.Mode() != "inotify" {
					t.Errorf("watcher %d: mode %s", i, l.w.Mode())
				}
			}
		})
	}
}

// One that comes after a mount makes the others see what is there now. (They would not
// look on their own: a volume is not read again for having been too young.)
func TestSharedMountedOver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "1"}))
	var in Inotify
	first := watchWith(t, dir, Options{Paths: []string{"v"}, Inotify: &in})
	tmpfs(t, filepath.Join(dir, "v"))
	first.volume(volumetest.Files{"a": "2"})
	second := watchWith(t, dir, Options{Paths: []string{"v"}, Inotify: &in})
	shows(t, "the mount", first, second)
	takes(t, taken{1, 1})
	first.volume(volumetest.Files{"a": "3"})
	shows(t, "a swap in it", first, second)
	if a, b := first.w.Errors(), second.w.Errors(); a != 1 || b != 0 {
		t.Errorf("%d and %d errors, want 1 of the first, whose watch was lost", a, b)
	}
}

// A folder that two Watchers know by different paths is watched once, and each gets
// its events by its own.
func TestSharedTwoPaths(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.MkdirAll(in("node/sub"), 0o755))
	bind(t, in("node"), in("one"))
	bind(t, in("node"), in("two"))
	var inotify Inotify
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	one := watchUntil(ctx, t, dir, Options{Paths: []string{"one"}, Inotify: &inotify})
	two := watchWith(t, dir, Options{Paths: []string{"two"}, Inotify: &inotify})
	takes(t, taken{1, 2})
	for i, name := range []string{"node/file", "one/file", "two/sub/file", "one/sub/file"} {
		one.write(name, fmt.Sprint(i))
		one.changes(name)
		two.changes(name)
	}
	if one.w.Errors()+two.w.Errors() > 0 {
		t.Error("they disturb each other")
	}

	// The path by which it was first known is now another folder.
	cancel()
	<-one.done
	tmpfs(t, in("one"))
	one = watchWith(t, dir, Options{Paths: []string{"one"}, Inotify: &inotify})
	takes(t, taken{1, 3})
	for i, name := range []string{"two/file", "one/file", "two/sub/file", "node/sub/file", "one/file"} {
		two.write(name, fmt.Sprint("again ", i))
		shows(t, name, one, two)
	}
	if n := two.w.Errors(); n > 1 {
		t.Errorf("%d errors, want at most one: the watch was renewed", n)
	}
	takes(t, taken{1, 3})
}

// pausing is a context that blocks a Watcher as soon as it reads.
type pausing struct {
	context.Context
	paused atomic.Bool
	inside chan bool // receives when it is held up
	resume chan bool
}

func (p *pausing) Err() error {
	if p.paused.CompareAndSwap(true, false) {
		p.inside <- true
		<-p.resume
	}
	return p.Context.Err()
}

// One that is busy for long blocks no other, and has lost nothing in the end.
func TestSharedBusy(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "d/file"), []byte("0"), 0o644))
	var in Inotify
	ctx := &pausing{Context: t.Context(), inside: make(chan bool), resume: make(chan bool)}
	busy := watchUntil(ctx, t, dir, Options{Paths: []string{"d"}, Inotify: &in})
	other := watchWith(t, dir, Options{Paths: []string{"d"}, Inotify: &in})
	ctx.paused.Store(true)
	other.write("d/file", "1")
	other.changes("a file, while another is held up")
	<-ctx.inside
	for i := range queued + 100 {
		other.write(fmt.Sprint("d/", i), "1")
		if i%100 == 0 { // its own queue must not become full
			shows(t, "many files, while another is held up", other)
		}
	}
	shows(t, "many files, while another is held up", other)
	if n := other.w.Errors(); n > 0 {
		t.Errorf("the one that is not busy has %d errors", n)
	}
	close(ctx.resume)
	shows(t, "what it has missed", busy)
	other.write("d/file", "2")
	shows(t, "after that", busy, other)
	if n := busy.w.Errors(); n != 1 {
		t.Errorf("the one that was busy has %d errors, want 1: its queue was full", n)
	}
	takes(t, taken{1, 1})
}

// After an error of inotify all begin anew, in one new instance.
func TestSharedError(t *testing.T) {
	dir := t.TempDir()
	must(t, volumetest.Write(filepath.Join(dir, "v"), volumetest.Files{"a": "0"}))
	var in Inotify
	var all []*live
	for range 3 {
		all = append(all, watchWith(t, dir, Options{Paths: []string{"v"}, Inotify: &in}))
	}
	for i := range 5 {
		in.control.Lock()
		in.now.fail(fsnotify.ErrEventOverflow)
		in.control.Unlock()
		all[0].volume(volumetest.Files{"a": fmt.Sprint("a", i)})
		shows(t, "after an error", all...)
		takes(t, taken{1, 1})
		all[0].volume(volumetest.Files{"a": fmt.Sprint("b", i)})
		shows(t, "and again", all...)
		for _, l := range all {
			if n := l.w.Errors(); n != uint64(i)+1 {
				t.Errorf("%d errors, want %d", n, i+1)
			}
		}
	}
}

// names takes events until there is one on the entry end, each cut to what follows in.
func names(t *testing.T, n *notifier, in, end string) (got []string) {
	t.Helper()
	late := time.After(deadline)
	for {
		select {
		case ev := <-n.events:
			name, ok := strings.CutPrefix(ev.Name, in)
			if !ok {
				t.Fatalf("an event on %s, want it to be in %s", ev.Name, in)
			}
			got = append(got, ev.Op.String()+" "+name)
			if filepath.Base(ev.Name) == end {
				return got
			}
		case err := <-n.errors:
			t.Fatal(err)
		case <-late:
			t.Fatalf("no event on %s came, but %q", end, got)
		}
	}
}

// Shared or not, a Watcher gets the same events in the same order.
func TestSharedEvents(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.MkdirAll(in("d/sub"), 0o755))
	var inotify Inotify
	own, err := newNotifier()
	must(t, err)
	a, err := inotify.open()
	must(t, err)
	b, err := inotify.open()
	must(t, err)
	for _, n := range []*notifier{own, a, b} {
		defer func() { must(t, n.close()) }()
		must(t, n.add(in("d")))
		must(t, n.add(in("d/sub")))
	}
	for i := range 100 {
		must(t, os.Mkdir(in(fmt.Sprint("d/", i)), 0o755))
		must(t, os.Rename(in(fmt.Sprint("d/", i)), in(fmt.Sprint("d/sub/", i))))
		must(t, os.Remove(in(fmt.Sprint("d/sub/", i))))
	}
	must(t, os.Chmod(in("d"), 0o700))
	must(t, os.Remove(in("d/sub")))
	must(t, os.Mkdir(in("d/end"), 0o755))
	want := names(t, own, dir, "end")
	if len(want) < 402 {
		t.Errorf("only %d events", len(want))
	}
	for _, n := range []*notifier{a, b} {
		if diff := cmp.Diff(want, names(t, n, dir, "end")); diff != "" {
			t.Errorf("shared, the events differ (-own +shared)\n%s", diff)
		}
		if diff := cmp.Diff([]string{in("d")}, n.list()); diff != "" {
			t.Errorf("still watched (-want +got)\n%s", diff)
		}
	}
}

// A folder that is moved and then removed is an error of fsnotify's, which holds its
// lock until that is taken. Nobody waits for the other.
func TestErrorThatIsNotTaken(t *testing.T) {
	var shared Inotify
	for name, open := range map[string]func() (*notifier, error){"own": newNotifier, "shared": shared.open} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			must(t, os.MkdirAll(in("d"), 0o755))
			must(t, os.Mkdir(in("d/one"), 0o755))
			must(t, os.Mkdir(in("d/two"), 0o755))
			n, err := open()
			must(t, err)
			must(t, n.add(in("d")))
			// fsnotify comes to no more than these two events until they are taken.
			if name == "shared" {
				shared.now.routes.Lock()
			}
			must(t, os.Remove(in("d/one")))
			must(t, os.Remove(in("d/two")))
			must(t, os.Rename(in("d"), in("e")))
			must(t, os.Remove(in("e")))
			if name == "shared" {
				shared.now.routes.Unlock()
			}
			closed := make(chan bool)
			go func() {
				defer close(closed)
				<-n.events
				<-n.events
				for range 10_000 {
					n.list() // as a Watcher does that is not back yet to take an error
				}
				if err := <-n.errors; err == nil {
					t.Error("no error came")
				}
				_ = n.close()
			}()
			select {
			case <-closed:
			case <-time.After(deadline):
				t.Fatal("it hangs")
			}
		})
	}
}

// Whoever comes, goes and changes its mind while folders come and go, nobody hangs,
// and what is left in the end is watched.
func TestSharedByMany(t *testing.T) {
	dir := t.TempDir()
	in := func(i int) string { return filepath.Join(dir, fmt.Sprint(i)) }
	var inotify Inotify
	var members, world sync.WaitGroup
	done := make(chan bool)
	world.Go(func() {
		for i := 0; ; i = (i + 1) % 4 {
			select {
			case <-done:
				return
			default:
			}
			_ = os.Mkdir(in(i), 0o755)
			_ = os.WriteFile(filepath.Join(in(i), "file"), nil, 0o644)
			_ = os.Rename(in(i), in((i+1)%4))
			_ = os.RemoveAll(in((i + 2) % 4))
		}
	})
	for seed := range uint64(4) {
		members.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			for range 20 {
				n, err := inotify.open()
				if err != nil {
					t.Error(err)
					return
				}
				for range 100 {
					path := in(r.IntN(4))
					switch r.IntN(4) {
					case 0:
						_ = n.remove(path)
					case 1:
						n.list()
					case 2:
						select {
						case <-n.events:
						case err := <-n.errors:
							if err == nil {
								t.Error("an error came that is none")
							}
						default:
						}
					default:
						if err := n.add(path); err != nil && !errors.Is(err, unix.ENOENT) {
							t.Error(err)
						}
					}
				}
				if err := n.close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	members.Wait()
	close(done)
	world.Wait()
	takes(t, taken{0, 0})
	must(t, os.MkdirAll(in(0), 0o755))
	n, err := inotify.open()
	must(t, err)
	defer func() { must(t, n.close()) }()
	must(t, n.add(in(0)))
	must(t, os.Mkdir(filepath.Join(in(0), "end"), 0o755))
	names(t, n, dir, "end")
}
