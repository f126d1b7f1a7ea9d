package watcher

import (
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// queued is how many events wait for a Watcher that is busy. They take 20 KiB, and as
// much again for their names.
const queued = 512

// An Inotify is an inotify instance for Watchers to share: a uid may have only 128
// of them (fs.inotify.max_user_instances, inotify(7)). A folder that several Watchers
// follow is watched once. The instance is there while a Watcher runs.
//
// Each Watcher gets all events of the folders that it follows, in order. One that
// is busy blocks no other: when too many wait for it, it learns that some were
// lost, and scans everything. An event takes a few microseconds more than
// in an instance of a Watcher's own, which is what one that is alone should have.
//
// The zero value is ready for use.
type Inotify struct {
	// control is held by what changes the watches, with all calls of fsnotify. That
	// may wait for an event or an error to be taken, so that dispatch does not need it.
	control sync.Mutex
	now     *instance // the last; nil: there was none

	filled atomic.Int64 // bytes that all Watchers hold: they share the memory too, see room
}

// An instance serves until an error tells that events were lost. Then a new one
// takes over, since only new watches are sure to be whole.
type instance struct {
	fsnotify *fsnotify.Watcher
	done     chan struct{} // closed when it has been closed

	// routes is held by dispatch, and by what changes the following, which holds
	// control as well. It is never held for long.
	routes  sync.Mutex
	members map[*member]bool
	ids     map[id]*shared
	paths   map[string]*shared // by the path that fsnotify knows
	broken  bool               // it has been closed, or is about to be; dispatch may set it
}

// A member is what one Watcher has of an instance.
type member struct {
	events  chan fsnotify.Event
	errors  chan error
	lost    bool               // events were lost, and that was said; routes guards it
	watches map[string]*shared // by its own paths; control guards it
}

// open returns a notifier for one Watcher.
func (n *Inotify) open() (*notifier, error) {
	n.control.Lock()
	defer n.control.Unlock()
	in := n.now
	if in == nil || !in.usable() {
		if in != nil {
			<-in.done // so that there are never two
		}
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return nil, err
		}
		in = &instance{
			fsnotify: w,
			done:     make(chan struct{}),
			members:  make(map[*member]bool),
			ids:      make(map[id]*shared),
			paths:    make(map[string]*shared),
		}
		n.now = in
		go in.dispatch()
	}
	m := &member{
		events:  make(chan fsnotify.Event, queued),
		errors:  make(chan error, 1),
		watches: make(map[string]*shared),
	}
	in.routes.Lock()
	in.members[m] = true
	in.routes.Unlock()
	return &notifier{
		events: m.events,
		errors: m.errors,
		add: func(path string) error {
			n.control.Lock()
			defer n.control.Unlock()
			return in.add(m, path)
		},
		remove: func(path string) error {
			n.control.Lock()
			defer n.control.Unlock()
			return in.remove(m, path)
		},
		list: func() []string {
			n.control.Lock()
			defer n.control.Unlock()
			return in.list(m)
		},
		close: func() error {
			n.control.Lock()
			defer n.control.Unlock()
			return in.leave(m)
		},
	}, nil
}

func (in *instance) usable() bool {
	in.routes.Lock()
	defer in.routes.Unlock()
	return !in.broken
}

// dispatch hands on what happens. It takes errors whatever else is going on:
// fsnotify holds its lock while it waits for that.
func (in *instance) dispatch() {
	events, errors := in.fsnotify.Events, in.fsnotify.Errors
	for events != nil || errors != nil {
		select {
		case ev, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			in.event(ev)
		case err, ok := <-errors:
			if !ok {
				errors = nil
				continue
			}
			in.fail(err)
		}
	}
}

// event hands an event to all that follow its folder. One on /a/b may come from the
// watch on /a or from that on /a/b, of which fsnotify may pass on one alone.
func (in *instance) event(ev fsnotify.Event) {
	ev.Name = clean(ev.Name)
	in.routes.Lock()
	defer in.routes.Unlock()
	its, parent := in.paths[ev.Name], in.paths[filepath.Dir(ev.Name)]
	if its != nil {
		for m, path := range its.holders {
			m.send(ev, path)
		}
	}
	if parent == nil || parent == its {
		return
	}
	for m, path := range parent.holders {
		name := join(path, filepath.Base(ev.Name))
		if its == nil || its.holders[m] != name { // else it knows already
			m.send(ev, name)
		}
	}
}

// clean is a path of an event. fsnotify begins those of the entries of / with two slashes.
func clean(path string) string {
	if strings.HasPrefix(path, "//") {
		return path[1:]
	}
	return path
}

// send never waits. An event without an operation says that the watch has ended.
func (m *member) send(ev fsnotify.Event, name string) {
	if m.lost {
		return
	}
	ev.Name = name
	select {
	case m.events <- ev:
	default:
		m.lose(fsnotify.ErrEventOverflow)
	}
}

// lose has a Watcher, once, rescan everything and open a notifier anew.
func (m *member) lose(err error) {
	if !m.lost {
		m.lost = true
		m.errors <- err
	}
}

// fail ends the instance.
func (in *instance) fail(err error) {
	in.routes.Lock()
	defer in.routes.Unlock()
	for m := range in.members {
		m.lose(err)
	}
	if !in.broken {
		in.broken = true
		go in.close() // it may wait for the next error to be taken
	}
}

func (in *instance) close() {
	_ = in.fsnotify.Close() // of no use any more whatever it says
	close(in.done)
}
