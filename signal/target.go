package signal

import (
	"time"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A Target is a process to be signalled: the root of a tree of processes of the
// name. The same process is the same Target at every Find, also if it executes another
// program, or itself anew, and loses its title for a moment by that. In that time it is
// not ready for a signal.
type Target struct {
	PID     int
	Name    string
	Started time.Duration // since boot (CLOCK_BOOTTIME), in steps of 10 ms

	finder  *Finder
	kin     *kin
	comm    string
	pidfd   int // -1: there are none
	watched bool
	since   time.Duration
	caught  bool          // it has been seen to catch the signal
	blocked time.Duration // since boot; since when it blocks the signal; 0: it does not
	catcher catcher       // the last that was told to be behind it
	astray  time.Duration // since boot; since when it goes by another name; 0: it does not
	pass    pass          // the last, until it is used
}

// Age is how long ago the process started.
func (t *Target) Age() time.Duration { return procfs.SinceBoot() - t.Started }

// Children are the pids of the processes that the target has forked and not yet
// reaped (proc_tid_children(5)). They are empty for one that has ended.
func (t *Target) Children() (map[int]bool, error) {
	return t.finder.sys.children(t.PID)
}

// goesBy notes the name that the process has by now. If it is another, or had not been
// that of a target in between, another program runs there, of which nothing is known yet.
func (t *Target) goesBy(comm string) {
	if t.comm != comm || t.astray != 0 {
		t.comm, t.astray = comm, 0
		t.since, t.caught, t.blocked = t.finder.sys.now(), false, 0
	}
}

// isAstray tells whether a process that goes by another name may come back to its own:
// Puma, to reload, executes Ruby anew, and has its title again after a second.
func (t *Target) isAstray() bool {
	now := t.finder.sys.now()
	if t.astray == 0 {
		t.astray = now
	}
	return now-t.astray < settled
}
