// Package watcher follows files and folders as a reader sees them, through every
// link on the way, and tells what they show once a change is whole. It is made
// for the volumes that the kubelet writes, and works for plain files too.
//
// It knows nothing of processes.
package watcher

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// attempts is how often a look walks the paths at once while they change under
// it; after that it waits for quiet.
const attempts = 5

// Options say what to watch and how patiently.
type Options struct {
	Paths    []string      // absolute; files or folders, there or not yet
	Exclude  []string      // what is left out of folders, see ValidatePattern
	Debounce time.Duration // quiet time that ends a burst of events
	Resync   time.Duration // interval of a full rescan; 0: none
	Inotify  *Inotify      // shared with other Watchers; nil: one of its own
	Log      *slog.Logger
}

// A Watcher follows the paths of its Options. One goroutine, Run's, owns it, but for what
// is published.
type Watcher struct {
	opts    Options
	paths   []path
	cache   *cache
	room    room      // of the last scan
	resync  time.Time // when everything is scanned again
	recheck time.Time // when a file read too soon is read again; zero: none was
	watches
	mountState
	change
	good    *Snapshot // the last without an error; nil: none yet
	current Snapshot  // what is to be sent
	published
}

// watches are those of inotify.
type watches struct {
	open    func() (*notifier, error)
	notify  *notifier          // nil: polling
	opened  time.Time          // when inotify was last asked for
	watched map[string]*folder // by path
}

// mountState is what is known of mounts.
type mountState struct {
	mounts  mountTable
	remount bool              // mounts are to be read anew at the next look
	fixed   map[string]*fixed // the mounts that the paths lie on, by point
	stale   error             // those that are stale
}

// change is what is known of the change under way.
type change struct {
	burst     burst
	last      *scan             // if it was stable, and can be brought up to date; else nil
	volumes   int               // of the kubelet's that the last scan came across
	lastStep  bool              // the last event was the kubelet's last step
	lastEvent time.Time         // the burst's last; zero: it has none
	seen      [sha256.Size]byte // what the last look without an error saw, settled or not
	seenAt    time.Duration     // since boot; of the first look that saw it
	stirred   time.Time         // when the paths were first seen to change since the last settled look
}

// published is what other goroutines may ask for.
type published struct {
	settling atomic.Bool
	begun    chan struct{}
	files    atomic.Pointer[[]string] // what the last settled look has shown, without links
	singles  atomic.Pointer[map[string]bool]
	degraded atomic.Bool // there is no inotify, and that has been logged
	errors   atomic.Uint64
}

// path is one of those to follow, and what is remembered of it.
type path struct {
	name   string
	seen   bool // it was there once
	kind   Kind // what it was then
	logged bool // that it is not there
}

// New returns a Watcher. Nothing is touched before Run.
func New(opts Options) *Watcher {
	w := &Watcher{
		opts:       opts,
		cache:      newCache(),
		watches:    watches{open: newNotifier},
		mountState: mountState{remount: true},
		change:     change{burst: burst{quiet: opts.Debounce}},
		published:  published{begun: make(chan struct{}, 1)},
	}
	if opts.Inotify != nil {
		w.open, w.room.shared = opts.Inotify.open, &opts.Inotify.filled
	}
	for _, name := range opts.Paths {
		w.paths = append(w.paths, path{name: name})
	}
	return w
}

// Settling tells whether the paths are changing just now, so that a program that
// reads them may read half of a change, and any Snapshot taken before is out of date.
// A new one follows when that is over, or has gone on for too long. Any goroutine may
// ask.
func (w *Watcher) Settling() bool { return w.settling.Load() }

// Begun receives when the paths begin to change.
func (w *Watcher) Begun() <-chan struct{} { return w.begun }

// Mode is how changes are noticed: inotify, or poll where it is unavailable. Any
// goroutine may ask.
func (w *Watcher) Mode() string {
	if w.degraded.Load() {
		return "poll"
	}
	return "inotify"
}

// Errors is how often inotify lost events or was unavailable, or a scan found a
// path gone or unreadable. Any goroutine may ask.
func (w *Watcher) Errors() uint64 { return w.errors.Load() }

// Run watches until ctx is done, and then returns nil. It sends a Snapshot after
// every look that is settled, changed or not: at the start, after each burst of
// events, and at each resync. While out is not ready, a newer one replaces it, and one
// that is older than a change under way is not sent.
func (w *Watcher) Run(ctx context.Context, out chan<- Snapshot) error {
	w.startNotify()
	defer w.stopNotify()
	defer func() { w.room.settle(0) }()
	var ready chan<- Snapshot // nil: there is nothing to send
	if w.look(ctx) {
		ready = out
	}
	w.opts.Log.Info("watching", "folders", len(w.watched), "mode", w.Mode())

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var events chan fsnotify.Event
		var failures chan error
		if w.notify != nil {
			events, failures = w.notify.events, w.notify.errors
		}
		timer.Reset(time.Until(w.wake()))
		offer := ready
		if w.settling.Load() && !w.current.Unsettled {
			offer = nil
		}

		due := false
		select {
		case <-ctx.Done():
			return nil
		case offer <- w.current:
			ready, w.current.Stirred = nil, time.Time{}
			runtime.Gosched() // whoever has taken it goes first
		case ev := <-events:
			due = w.event(ev)
		case err := <-failures:
			w.failure(err)
		case <-timer.C:
			due = w.timeUp(events)
		}
		if due && w.look(ctx) {
			ready = out
		}
	}
}

// wake is when to look even if nothing more happens. In a burst that is its end:
// what is seen before that may be half of a change.
func (w *Watcher) wake() time.Time {
	if end := w.burst.end(); !end.IsZero() {
		return end
	}
	if !w.recheck.IsZero() && w.recheck.Before(w.resync) {
		return w.recheck
	}
	return w.resync
}

// event takes an event and tells whether to look at once.
func (w *Watcher) event(ev fsnotify.Event) bool {
	ev.Name = clean(ev.Name)
	if !w.concerns(ev.Name) {
		return false
	}
	if ev.Op == 0 && !w.burst.first.IsZero() {
		return false // a watch has ended, of which the events have told: the look finds it
	}
	if !w.settling.Swap(true) {
		select {
		case w.begun <- struct{}{}:
		default: // the last one has not been taken
		}
	}
	if w.stirs(ev) {
		w.stir()
	}
	if w.watched[ev.Name] != nil { // it may have been moved or replaced
		w.remount = w.remount || len(w.fixed) > 0
	}
	w.lastEvent = time.Now()
	w.lastStep = w.burst.add(w.lastEvent, ev)
	return w.finished()
}

// finished tells whether the last event was the kubelet's last step. It updates all volumes of a
// pod in one pass: of several, another may follow.
func (w *Watcher) finished() bool { return w.lastStep && w.volumes <= 1 }

// timeUp tells whether to look now that it is time. Where this process was
// stalled, an event may be waiting that came in time: then the burst goes on.
func (w *Watcher) timeUp(events <-chan fsnotify.Event) bool {
	if w.burst.tooLong(time.Now()) {
		return true
	}
	select {
	case ev := <-events:
		return w.event(ev) || w.burst.first.IsZero()
	default:
		return true
	}
}

// failure is inotify's: events were lost, so that anything may have changed, and
// only new watches are sure to be whole.
func (w *Watcher) failure(err error) {
	w.opts.Log.Debug("inotify lost events, rescanning", "err", err)
	w.errors.Add(1)
	w.settling.Store(true)
	w.stir()
	w.stopNotify()
	w.startNotify()
	w.lastEvent = time.Now()
	w.burst.touch(w.lastEvent)
}
