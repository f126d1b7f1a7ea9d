package signal

import (
	"time"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A Target is a process to be signalled: the root of a tree of processes with the name. A
// process is the same Target at every Find, even if it re-executes itself and loses its
// title for a moment. During that time it is not ready for a signal.
type Target struct {
	PID     int
	Name    string
	Started time.Duration // since boot (CLOCK_BOOTTIME), in steps of 10 ms

	finder  *Finder
	kin     *kin
	pidfd   int // -1: there is none
	watched bool
	running running
	catcher catcher // the last one reported behind it
}

// running is what is known of the program that a target runs, until an exec replaces it. All
// times are since boot.
type running struct {
	comm    string
	since   time.Duration // when it was first seen
	caught  bool          // it has been seen to catch the signal
	blocked time.Duration // when it was first seen to block the signal; 0: it does not
	pass    pass          // from Ready, for the next Send
	astray  time.Duration // when the process was first seen under another name; 0: it is not
}

// Age returns the time since the process started.
func (t *Target) Age() time.Duration { return procfs.SinceBoot() - t.Started }

// Children returns the pids of the processes that the target has forked and not yet reaped
// (proc_tid_children(5)). The set is empty for a target that has ended.
func (t *Target) Children() (map[int]bool, error) {
	return t.finder.sys.children(t.PID)
}

// goesBy records the name that the process has now. If that is new, or the process had been
// astray, another program runs there, of which nothing is known yet.
func (t *Target) goesBy(comm string) {
	if t.running.comm != comm || t.running.astray != 0 {
		t.running = running{comm: comm, since: t.finder.sys.now()}
	}
}

// isAstray reports whether a process under another name may still return to its own: Puma
// reloads by executing Ruby again, and has its title back after a second.
func (t *Target) isAstray() bool {
	now := t.finder.sys.now()
	if t.running.astray == 0 {
		t.running.astray = now
	}
	return now-t.running.astray < settled
}
