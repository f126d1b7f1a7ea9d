package watcher

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// longest is how many quiet times a burst may last before the paths are scanned anyway.
const longest = 20

// A burst is a run of events that belong together, such as the steps of one
// update. It is over when it has been quiet for the quiet time. The last step of all
// updates that have begun ends it too, where no other volume is watched.
//
// The kubelet's steps as inotify shows them on a volume's folder: the new
// timestamped folder is created, ..data is renamed into place (the swap), links
// of new keys come and those of removed keys go, and last the old timestamped
// folder is removed. A first write has no such last step, and a write that
// failed removes its new folder without a swap.
type burst struct {
	quiet       time.Duration
	first, last time.Time         // of its events; zero when there is no burst
	updates     map[string]update // by volume folder: those begun and not finished
	done        string            // the folder of the last update that was finished; empty: its creation was not seen
	more        bool              // something else than the kubelet's own entries has changed
}

// update is how far the kubelet is with a volume.
type update struct {
	folder  string // the new timestamped folder; empty when its creation was not seen
	swapped bool
}

// add takes an event on the entry of a folder and tells whether it is the last step of
// all updates that have begun.
func (b *burst) add(now time.Time, ev fsnotify.Event) (last bool) {
	b.extend(now)
	dir, name := filepath.Split(ev.Name)
	if !strings.HasPrefix(name, "..") {
		b.more = true
		return false
	}
	u, begun := b.updates[dir]
	switch {
	case name == dataLink && ev.Has(fsnotify.Create):
		u.swapped = true
	case strings.HasPrefix(name, dataLink):
		return false // ..data_tmp comes and goes, and the old ..data with it
	case ev.Has(fsnotify.Create):
		u = update{folder: name}
	case ev.Has(fsnotify.Remove) && begun && u.swapped != (name == u.folder):
		// The old folder after a swap, or the new one of a write that failed.
		delete(b.updates, dir)
		if u.swapped {
			b.done = u.folder
		}
		return u.swapped && len(b.updates) == 0
	default:
		return false
	}
	if b.updates == nil {
		b.updates = make(map[string]update)
	}
	b.updates[dir] = u
	return false
}

// touch notes that something happened, without saying what.
func (b *burst) touch(now time.Time) {
	b.extend(now)
	b.more = true
}

func (b *burst) extend(now time.Time) {
	if b.first.IsZero() {
		b.first = now
	}
	b.last = now
}

// end is when the burst is over if nothing more happens; zero when there is none.
func (b *burst) end() time.Time {
	if b.first.IsZero() {
		return time.Time{}
	}
	quiet, latest := b.last.Add(b.quiet), b.first.Add(longest*b.quiet)
	if latest.Before(quiet) {
		return latest
	}
	return quiet
}

// reset ends the burst. A volume that is still in the middle of an update then
// (the kubelet died, or is slow) no longer blocks the others; its swap, should
// it come, begins a burst of its own.
func (b *burst) reset() {
	b.first, b.last, b.more = time.Time{}, time.Time{}, false
	clear(b.updates)
}

// tooLong tells whether the burst has lasted longer than it may.
func (b *burst) tooLong(now time.Time) bool {
	return !b.first.IsZero() && !now.Before(b.first.Add(longest*b.quiet))
}
