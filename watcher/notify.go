package watcher

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

const (
	// pollEvery is how often everything is scanned where inotify is unavailable.
	pollEvery = 2 * time.Second

	// never is a time that does not come.
	never = 100 * 365 * 24 * time.Hour
)

// notifier is what is used of fsnotify.Watcher, or of one that is shared (see
// Inotify). It watches folders, and files that are mounts of their own.
//
// Three of its traps are kept away from the rest. It drops a watch silently when
// the folder is unmounted, moved or removed: list tells which are left. It knows
// a folder by one path only, so that none may be added by two. And a path whose
// folder was made anew must be removed before it is added again.
//
// A fourth is kept here. While it waits for an error to be taken, it may hold the
// lock that add, remove, list and close need.
type notifier struct {
	events      chan fsnotify.Event
	errors      chan error
	add, remove func(string) error
	list        func() []string
	close       func() error
}

// newNotifier opens an inotify instance for one Watcher alone.
func newNotifier() (*notifier, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	failures := make(chan error, 1)
	go func() {
		for err := range w.Errors {
			select {
			case failures <- err:
			default: // one is enough to begin anew
			}
		}
	}()
	return &notifier{w.Events, failures, w.Add, w.Remove, w.WatchList, w.Close}, nil
}

// startNotify asks for inotify, and plans for polling if it is unavailable.
func (w *Watcher) startNotify() {
	now := time.Now()
	w.opened = now
	n, err := w.open()
	if err != nil {
		w.degrade(err)
	} else {
		w.notify, w.watched = n, make(map[string]*folder)
	}
	w.resync = now.Add(w.interval())
}

func (w *Watcher) stopNotify() {
	if w.notify != nil {
		_ = w.notify.close() // of no use any more whatever it says
	}
	w.notify, w.watched = nil, nil
}

// plan sets the next resync, and asks for inotify again where there is none.
func (w *Watcher) plan(now time.Time) {
	if w.notify == nil && now.Sub(w.opened) >= w.opts.Resync {
		w.startNotify()
	}
	w.remount = w.remount || len(w.fixed) > 0
	w.last = nil // everything is looked at anew
	w.resync = now.Add(w.interval())
}

func (w *Watcher) interval() time.Duration {
	switch {
	case w.notify == nil:
		return pollEvery
	case w.opts.Resync == 0:
		return never
	default:
		return w.opts.Resync
	}
}

// degrade goes on without inotify.
func (w *Watcher) degrade(err error) {
	w.stopNotify()
	w.errors.Add(1)
	w.resync = time.Now().Add(pollEvery)
	if w.degraded.Swap(true) {
		return
	}
	w.opts.Log.Warn("inotify unavailable, falling back to polling", "every", pollEvery, "err", withHint(err))
}

// withHint says what gives inotify back.
func withHint(err error) error {
	switch {
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w: raise the sysctl fs.inotify.max_user_instances on the node", err)
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w: raise the sysctl fs.inotify.max_user_watches on the node", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: let podsignal read that folder", err)
	}
	return err
}

// syncWatches watches the folders needed and no others. It tells whether all of
// them were watched before the call: if not, they must be read again.
func (w *Watcher) syncWatches(needed map[id]*folder) (complete bool) {
	if w.notify == nil {
		return true
	}
	alive := make(map[string]bool)
	for _, path := range w.notify.list() {
		alive[path] = true
	}
	kept := make(map[id]*folder)
	for path, f := range w.watched {
		if needed[f.id] == nil || !alive[path] {
			_ = w.notify.remove(path) // the kernel may have done so already
			delete(w.watched, path)
			continue
		}
		kept[f.id] = f
	}
	complete = true
	for key, f := range needed {
		if old := kept[key]; old != nil {
			old.names, old.relative, old.volume = f.names, f.relative, f.volume
			continue
		}
		complete = false
		err := w.notify.add(f.path)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue // gone since the walk: the next one tells
		}
		if err != nil {
			w.degrade(fmt.Errorf("watching %s: %w", f.path, err))
			return true
		}
		w.watched[f.path] = f
	}
	if complete && w.degraded.Swap(false) {
		w.opts.Log.Info("inotify available again", "folders", len(w.watched))
	}
	return complete
}

// concerns tells whether an event on name can change what the paths show. One on
// a watched folder itself can: it may have been moved or removed.
func (w *Watcher) concerns(name string) bool {
	if w.watched[name] != nil {
		return true
	}
	f := w.watched[filepath.Dir(name)]
	return f != nil && f.matters(filepath.Base(name))
}
