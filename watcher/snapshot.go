package watcher

import (
	"crypto/sha256"
	"time"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A Snapshot is what the watched paths show at one moment, whole.
type Snapshot struct {
	// Digest is a SHA-256 over the sorted pairs of path and content.
	Digest [sha256.Size]byte

	// Changed is when Digest came to be, since boot (CLOCK_BOOTTIME), or came back
	// after something else: a program that started clearly later has read nothing
	// else. It errs on the late side.
	Changed time.Duration

	// Err says that a path which was there is gone (it wraps fs.ErrNotExist) or
	// that something cannot be read. Digest and Changed are then the last good ones.
	Err error

	// Stale says that the content may be older than what is on the host, where a mount that
	// it lies on was moved, replaced or removed. Nothing but a new mount helps.
	Stale error

	// Stirred is when the paths were first seen to change since the snapshot before
	// was taken, even if they show the same again; zero: they were not. A touch or a
	// chmod does not count.
	Stirred time.Time

	// Unsettled says that the paths did not stop changing for so long that this was
	// taken nevertheless: it may show half of a change.
	Unsettled bool
}

// Age is how long ago Digest came to be.
func (s Snapshot) Age() time.Duration { return procfs.SinceBoot() - s.Changed }
