package watcher

import (
	"crypto/sha256"
	"time"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A Snapshot is what the watched paths show at one moment, whole.
type Snapshot struct {
	// Digest changes with what the paths show. Of a single path it is that of the path, of
	// several a SHA-256 over theirs. If one may show a Secret, it is meaningless outside of
	// this process, and may be shown to anyone.
	Digest [sha256.Size]byte

	// Paths are the digests of the paths, in their order.
	Paths []PathDigest

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
