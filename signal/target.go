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
	pidfd   int // -1: there is none
	watched bool
	running running
	catcher catcher // the last that was reported behind it
}

// running is what is known of the program that a target runs, until an exec puts another in
// its place. All times are since boot.
type running struct {
	comm    string
	since   time.Duration // since when it is seen to run
	caught  bool          // it has been seen to catch the signal
	blocked time.Duration // since when it blocks the signal; 0: it does not
	pass    pass          // the last, until it is used
	astray  time.Duration // since when another has its place; 0: none has
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
	if t.running.comm != comm || t.running.astray != 0 {
		t.running = running{comm: comm, since: t.finder.sys.now()}
	}
}

// isAstray tells whether a process that goes by another name may come back to its own:
// Puma, to reload, executes Ruby anew, and has its title again after a second.
func (t *Target) isAstray() bool {
	now := t.finder.sys.now()
	if t.running.astray == 0 {
		t.running.astray = now
	}
	return now-t.running.astray < settled
}
