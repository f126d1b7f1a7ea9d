package watcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/podsignal/podsignal/signal/procfs"
)

// look takes a snapshot. It is settled, and current, unless the change may still
// be under way: then the burst goes on.
func (w *Watcher) look(ctx context.Context) (settled bool) {
	now := time.Now()
	if !now.Before(w.resync) {
		w.plan(now)
	}
	w.readMounts()
	known, finished := w.seen, w.finished()
	s, digest, stable, err := w.scan(ctx)
	if ctx.Err() != nil {
		return false
	}
	finished = finished && w.isDone(s)
	if w.mounts.roots != nil {
		w.judge(s, err == nil)
		w.mounts.roots, s.mounts.roots = nil, nil
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

	partial := err == nil && !w.whole(s, digest, known, finished)
	mayChange := !stable || partial
	tooLong := w.burst.tooLong(now)
	if mayChange && !tooLong {
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
	case w.unchanged(digest) && stirred.IsZero():
		w.current = *w.good
	default:
		w.current = Snapshot{Digest: digest, Paths: s.pathDigests(), Changed: w.changed(s)}
		good := w.current
		w.good = &good
	}
	w.current.Stirred, w.current.Unsettled, w.current.Stale = stirred, tooLong, w.stale
	w.burst.reset()
	w.lastEvent = time.Time{}
	w.settling.Store(false)
	return true
}

// unchanged tells whether a digest is that of the last snapshot without an error.
func (w *Watcher) unchanged(digest [sha256.Size]byte) bool {
	return w.good != nil && digest == w.good.Digest
}

// whole tells whether what a scan saw is all of a change, and not a part: nothing has changed;
// or all of it is old enough, and either seen a second time or announced by events that are
// over. known is what the scan before it saw; finished says that it was made since the kubelet
// had taken its last step.
func (w *Watcher) whole(s *scan, digest, known [sha256.Size]byte, finished bool) bool {
	if w.unchanged(digest) {
		return true
	}
	confirmed := digest == known || w.announced(s)
	return confirmed && !w.young(s.written) && (finished || w.good == nil || !w.young(s.entered))
}

// stirs tells whether the paths may show something else after an event. They do not when
// attributes alone have changed, nor at the kubelet's steps before and after its swap: on a
// busy node the last of them, the removal of the old folder, comes late.
func (w *Watcher) stirs(ev fsnotify.Event) bool {
	dir, name := filepath.Split(ev.Name)
	f := w.watched[filepath.Clean(dir)]
	volume := f != nil && (f.names[dataLink] || f.volume)
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
	return !w.lastEvent.IsZero()
}

// young tells whether something was written, or swapped, within the quiet time, though no event
// has told of it yet: events come late where this process, or the node, is busy, or where it
// happens just when the quiet time is over.
func (w *Watcher) young(ctime time.Time) bool {
	age := time.Since(ctime)
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
	case !w.lastEvent.IsZero():
		return max(now-time.Since(w.lastEvent), written)
	default:
		return w.seenAt
	}
}

// scan walks the paths until the folders that they depend on were watched before
// they were read, and nothing changed in the meantime (then it is stable). After the
// kubelet's last step nothing can, in a volume that has not been swapped again since.
func (w *Watcher) scan(ctx context.Context) (s *scan, digest [sha256.Size]byte, stable bool, err error) {
	before, last, known := w.seen, w.lastStep, w.last
	w.lastStep, w.last = false, nil
	if last && !w.burst.more && w.mounts.roots == nil && known.again(ctx, w.burst.done) && !known.swapped() {
		w.last = known
		w.cache.forget()
		return known, known.digest(), true, nil
	}
	for range attempts {
		s = newScan(ctx, w.cache, w.opts.Exclude)
		s.mounts = w.mounts
		s.room.shared, s.room.held = w.room.shared, w.room.held
		err = w.walk(s)
		w.keep(s, err)
		if ctx.Err() != nil {
			return s, digest, false, err
		}
		w.volumes = len(s.data)
		complete := w.syncWatches(s.folders)
		digest = s.digest()
		frozen := func() bool { return last && !s.thawed && w.isDone(s) && !s.swapped() } // nothing can have changed since
		if complete && (digest == before || frozen()) {
			stable = true
			break
		}
		before = digest
	}
	if stable && err == nil && s.ofOneVolume() {
		w.last = s
	}
	w.cache.forget()
	return s, digest, stable, err
}

// isDone tells whether a scan has found the update that the last step belonged to. If it has
// not, another has swapped since, and may still make and remove links.
func (w *Watcher) isDone(s *scan) bool { return w.burst.done == "" || s.leadsTo(w.burst.done) }

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
			err = fmt.Errorf("%s is not a volume any more: %w", p.name, fs.ErrNotExist)
		}
		switch {
		case err == nil:
			if kind == KindExcluded && p.kind != kind {
				w.opts.Log.Warn("EXCLUDE matches a path of FILE, so its changes are ignored: fix one of them", "file", p.name)
			}
			p.seen, p.kind = kind != KindExcluded, kind
		case p.seen || !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		case !p.logged:
			p.logged = true
			w.opts.Log.Warn("file does not exist yet, waiting for it: if it never appears, fix FILE or mount the volume there", "file", p.name)
		}
	}
	return errors.Join(errs...)
}
