package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// newInstance is an instance whose events wait until the test has them dispatched.
func newInstance(w *fsnotify.Watcher) *instance {
	return &instance{
		fsnotify: w,
		done:     make(chan struct{}),
		members:  make(map[*member]bool),
		ids:      make(map[id]*shared),
		paths:    make(map[string]*shared),
	}
}

func newMember() *member {
	return &member{events: make(chan fsnotify.Event, 10), errors: make(chan error, 1), watches: make(map[string]*shared)}
}

// taken are the events that wait for a member.
func (m *member) taken() (names []string) {
	for {
		select {
		case ev := <-m.events:
			names = append(names, ev.Op.String()+" "+ev.Name)
		default:
			return names
		}
	}
}

// A watch that has ended is found so by one who lists, while the event that tells of it
// is still on its way: all others that hold it are told then, once.
func TestSharedEndIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(dir, 0o755))
	w, err := fsnotify.NewWatcher()
	must(t, err)
	in := newInstance(w)
	lists, other, third := newMember(), newMember(), newMember()
	for _, m := range []*member{lists, other, third} {
		must(t, in.add(m, dir))
	}
	must(t, os.Remove(dir))
	for end := time.Now().Add(deadline); len(w.WatchList()) > 0; time.Sleep(ms) {
		if time.Now().After(end) {
			t.Fatal("fsnotify does not drop the watch")
		}
	}
	if paths := in.list(lists); len(paths) > 0 {
		t.Errorf("%q are still watched", paths)
	}
	in.list(other)
	in.event(<-w.Events)
	must(t, w.Close())
	want := []string{"[no events] " + dir}
	for name, m := range map[string]*member{"another": other, "a third": third} {
		if diff := cmp.Diff(want, m.taken()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if names := lists.taken(); len(names) > 0 {
		t.Errorf("the one that lists hears of %q, which it has found itself", names)
	}
}

// What hears that a watch has ended scans everything. Where events of that
// have come too, it looks no later for it.
func TestEndOfWatch(t *testing.T) {
	got := settle(t, []string{"file"}, func(r *rig) { r.write("0") }, func(r *rig) {
		time.Sleep(time.Second)
		r.write("1")
		r.event(0, "")
		time.Sleep(time.Second)
		r.write("12")
		r.event(fsnotify.Write, "file")
		time.Sleep(60 * ms)
		r.event(0, "")
		time.Sleep(time.Second)
	})
	if diff := cmp.Diff([]time.Duration{1100 * ms, 2100 * ms}, got); diff != "" {
		t.Errorf("changes seen (-want +got):\n%s", diff)
	}
}

// The folder / and one that shows it too (a bind mount) are one watch, whichever path it
// was made by: each that follows it gets events by its own.
func TestSharedRoot(t *testing.T) {
	for _, path := range []string{"/", "/host"} {
		in := newInstance(nil)
		root, host, sub := newMember(), newMember(), newMember()
		in.hold(root, &shared{path: path, holders: make(map[*member]string)}, "/")
		in.hold(host, in.paths[path], "/host")
		in.hold(sub, &shared{id: id{1, 1}, path: join(path, "x"), holders: make(map[*member]string)}, "/mnt/x")
		in.event(fsnotify.Event{Name: path + "/x", Op: fsnotify.Remove}) // as fsnotify writes it
		in.event(fsnotify.Event{Name: path, Op: fsnotify.Chmod})
		for _, test := range []struct {
			m    *member
			want []string
		}{
			{root, []string{"REMOVE /x", "CHMOD /"}},
			{host, []string{"REMOVE /host/x", "CHMOD /host"}},
			{sub, []string{"REMOVE /mnt/x"}},
		} {
			if diff := cmp.Diff(test.want, test.m.taken()); diff != "" {
				t.Errorf("watched by %s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// An entry of / is one that is watched, though fsnotify writes it with two slashes.
func TestEntryOfRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{Debounce: 100 * ms})
		w.watched = map[string]*folder{"/x": {}, "/": {names: map[string]bool{"y": true}}}
		for name, want := range map[string]bool{"//x": true, "//y": true, "//z": false} {
			w.burst.reset()
			if w.event(fsnotify.Event{Name: name, Op: fsnotify.Remove}); w.burst.first.IsZero() == want {
				t.Errorf("an event on %s counts: %t, want %t", name, !want, want)
			}
		}
	})
}
