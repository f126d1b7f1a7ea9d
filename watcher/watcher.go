// Package watcher follows files and folders as a reader sees them, through every
// link on the way, and tells what they show once a change is whole. It is made
// for the volumes that the kubelet writes, and works for plain files too.
//
// It knows nothing of processes.
package watcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/podsignal/podsignal/signal/procfs"
)

// attempts is how often a look walks the paths at once while they change under
// it; after that it waits for quiet.
const attempts = 5

// Options say what to watch and how patiently.
type Options struct {
	Paths    []string      // absolute; files or folders, there or not yet
	Exclude  []string      // what is left out of folders, see ValidatePattern
	Debounce time.Duration // quiet time that ends a burst of events
	Resync   time.Duration // how often everything is looked at anyway; 0: never
	Inotify  *Inotify      // shared with other Watchers; nil: one of its own
	Log      *slog.Logger
}

// A Watcher follows the paths of its Options. One goroutine, Run's, owns it.
type Watcher struct {
	opts  Options
	paths []path
	cache *cache
	room  room // of the last scan

	open    func() (*notifier, error)
	notify  *notifier          // nil: polling
	opened  time.Time          // when inotify was last asked for
	watched map[string]*folder // by path
	resync  time.Time          // when everything is looked at anyway
	mounts  mountTable
	remount bool              // mounts are to be read anew at the next look
	fixed   map[string]*fixed // the mounts that the paths lie on, by point
	stale   error             // those that are stale
	recheck time.Time         // when a file read too soon is read again; zero: none was

	burst     burst
	volumes   int               // of the kubelet's that the last walk came across
	lastStep  bool              // the last event was the kubelet's last step
	lastEvent time.Duration     // since boot; the burst's last; 0: it has none
	seen      [sha256.Size]byte // what the last look without an error saw, settled or not
	seenAt    time.Duration     // since boot; of the first look that saw it
	good      *Snapshot         // the last without an error; nil: none yet
	current   Snapshot          // what is to be sent
	stirred   time.Time         // when the paths were first seen to change since the last settled look

	settling atomic.Bool
	begun    chan struct{}
	files    atomic.Pointer[[]string] // what the last settled look has shown, without links
	singles  atomic.Pointer[map[string]bool]
	degraded atomic.Bool // there is no inotify, and that has been said
	errors   atomic.Uint64
}

// path is one of those to follow, and what is remembered of it.
type path struct {
	name string
	seen bool // it was there once
	kind Kind // what it was then
	told bool // that it is not there has been said
}

// New returns a Watcher. Nothing is touched before Run.
func New(opts Options) *Watcher {
	w := &Watcher{
		opts:    opts,
		cache:   newCache(),
		open:    newNotifier,
		begun:   make(chan struct{}, 1),
		burst:   burst{quiet: opts.Debounce},
		remount: true,
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

// Mode is how changes are noticed: inotify, or poll where it cannot be had. Any
// goroutine may ask.
func (w *Watcher) Mode() string {
	if w.degraded.Load() {
		return "poll"
	}
	return "inotify"
}

// Errors is how often inotify lost events or could not be had, or a look found a
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
	w.lastEvent = procfs.SinceBoot()
	w.lastStep = w.burst.add(time.Now(), ev)
	// The kubelet updates all volumes of a pod in one pass: of several, another may follow.
	return w.lastStep && w.volumes <= 1
}

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
	w.opts.Log.Debug("inotify lost events, looking at everything", "err", err)
	w.errors.Add(1)
	w.settling.Store(true)
	w.stir()
	w.stopNotify()
	w.startNotify()
	w.lastEvent = procfs.SinceBoot()
	w.burst.touch(time.Now())
}

// look takes a snapshot. It is settled, and current, unless the change may still
// be under way: then the burst goes on.
func (w *Watcher) look(ctx context.Context) (settled bool) {
	now := time.Now()
	if !now.Before(w.resync) {
		w.plan(now)
	}
	w.readMounts()
	known := w.seen
	s, digest, stable, err := w.scan(ctx)
	if ctx.Err() != nil {
		return false
	}
	if s.mounts.roots != nil {
		w.judge(s, err == nil)
		w.mounts.roots = nil
	}
	if err == nil && digest != w.seen { // without what is gone it would say nothing
		w.seen, w.seenAt = digest, procfs.SinceBoot()
		if w.good != nil {
			w.stir()
		}
	}
	w.recheck = time.Time{}
	if s.recheck || !stable {
		w.recheck = now.Add(racy)
	}

	unchanged := w.good != nil && digest == w.good.Digest
	twice := digest == known
	whole := unchanged || !w.young(s) && (twice || w.announced(s))
	tooLong := w.burst.tooLong(now)
	if !tooLong && (!stable || err == nil && !whole) {
		w.settling.Store(true)
		w.burst.touch(now)
		return false
	}
	if err == nil {
		w.files.Store(s.realPaths())
	}
	stirred := w.stirredSince()
	switch {
	case err != nil:
		w.current.Err = err
		w.errors.Add(1)
	case unchanged && stirred.IsZero():
		w.current = *w.good
	default:
		w.current = Snapshot{Digest: digest, Changed: w.changed(s)}
		good := w.current
		w.good = &good
	}
	w.current.Stirred, w.current.Unsettled, w.current.Stale = stirred, tooLong, w.stale
	w.burst.reset()
	w.lastEvent = 0
	w.settling.Store(false)
	return true
}

// stirs tells whether the paths may show something else after an event. They do not when
// attributes alone have changed, nor at the kubelet's steps before and after its swap: on a
// busy node the last of them, the removal of the old folder, comes late.
func (w *Watcher) stirs(ev fsnotify.Event) bool {
	dir, name := filepath.Split(ev.Name)
	f := w.watched[filepath.Clean(dir)]
	volume := f != nil && (f.names[dataLink] || w.cache.volumes[f.id] != nil)
	kubelets := volume && strings.HasPrefix(name, "..") && name != dataLink
	return ev.Op != fsnotify.Chmod && !kubelets
}

// stir notes that the paths may show something else now than a moment ago.
func (w *Watcher) stir() {
	if w.stirred.IsZero() {
		w.stirred = time.Now()
	}
}

// stirredSince is when the paths were first seen to change since the last snapshot
// that was taken, and begins anew.
func (w *Watcher) stirredSince() time.Time {
	first := w.current.Stirred // of one that nobody has taken
	if first.IsZero() {
		first = w.stirred
	}
	w.stirred = time.Time{}
	return first
}

// announced tells whether a new digest came with events that are over. At the
// first look nothing has been announced, but what was written long enough ago is
// whole. A change without an event (polling, a file system that has none) must be
// seen twice.
func (w *Watcher) announced(s *scan) bool {
	if w.good == nil {
		return time.Since(s.written) >= w.opts.Debounce
	}
	return w.lastEvent != 0
}

// young tells whether a file was written within the quiet time, though no event has
// told of it yet: events come late where this process, or the node, is busy.
func (w *Watcher) young(s *scan) bool {
	age := time.Since(s.written)
	return 0 <= age && age < w.opts.Debounce
}

// changed is when the new digest came to be. The wall clock of ctimes can be
// stepped, so that it serves only where there is nothing else, or to be later.
func (w *Watcher) changed(s *scan) time.Duration {
	now := procfs.SinceBoot()
	written := min(now, now-time.Since(s.newest))
	switch {
	case w.good == nil && s.newest.IsZero():
		return 0 // nothing is there: no program can have missed it
	case w.good == nil:
		return written
	case w.lastEvent != 0:
		return max(w.lastEvent, written)
	default:
		return w.seenAt
	}
}

// scan walks the paths until the folders that they depend on were watched before
// they were read, and nothing changed in the meantime (then it is stable). After the
// kubelet's last step nothing can, in a volume that has not been swapped again.
func (w *Watcher) scan(ctx context.Context) (s *scan, digest [sha256.Size]byte, stable bool, err error) {
	before := w.seen
	last := w.lastStep
	w.lastStep = false
	for i := range attempts {
		s = newScan(ctx, w.cache, w.opts.Exclude)
		s.mounts = w.mounts
		s.quick = i == 0 && last && !w.burst.more && w.good != nil
		if !s.quick {
			clear(w.cache.volumes)
		}
		s.room.shared, s.room.held = w.room.shared, w.room.held
		err = w.walk(s)
		w.keep(s, err)
		if ctx.Err() != nil {
			return s, digest, false, err
		}
		w.volumes = len(s.data)
		complete := w.syncWatches(s.folders)
		digest = s.digest()
		if complete && (digest == before || last && !s.thawed && !s.swapped()) {
			stable = true
			break
		}
		before = digest
	}
	w.cache.forget()
	return s, digest, stable, err
}

// keep notes what memory a scan has filled. Of one that found no room nothing is kept, so
// that other rules have theirs.
func (w *Watcher) keep(s *scan, err error) {
	w.room = s.room
	if _, full := errors.AsType[fullError](err); full {
		w.room.settle(0)
		w.cache = newCache()
		return
	}
	w.room.settle(w.room.used)
}

// walk adds what each path shows. A path that was never there contributes
// nothing; one that was is an error.
func (w *Watcher) walk(s *scan) error {
	var errs []error
	for i := range w.paths {
		p := &w.paths[i]
		before := s.files
		kind, err := s.path(p.name)
		if err == nil && p.kind == KindVolume && kind != KindVolume && s.files == before {
			// What is left of a volume that was unmounted is an empty folder.
			err = fmt.Errorf("%s is no volume any more: %w", p.name, fs.ErrNotExist)
		}
		switch {
		case err == nil:
			if kind == KindExcluded && p.kind != kind {
				w.opts.Log.Warn("EXCLUDE leaves out a file that FILE names, so that its changes count for nothing: correct one of the two", "file", p.name)
			}
			p.seen, p.kind = kind != KindExcluded, kind
		case p.seen || !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		case !p.told:
			p.told = true
			w.opts.Log.Warn("file does not exist yet: waiting for it; if it never comes, correct FILE or mount the volume there", "file", p.name)
		}
	}
	return errors.Join(errs...)
}
