package signal

import (
	"fmt"
	"math/bits"
	"syscall"
	"time"
)

const (
	// blockedFor is how long a signal must be blocked to count as taken by signalfd(2) or
	// sigwait(3): a fork blocks all signals for about 0.1 ms.
	blockedFor = 20 * time.Millisecond

	// goCatches is the least number of signals that the Go runtime catches, whatever the
	// program does with them (initsig in runtime/signal_unix.go). Other programs catch a
	// dozen.
	goCatches = 50
)

// Handling is what a process would do with a signal, judging by its masks.
type Handling string

// Only the first three let a signal through.
const (
	Catches Handling = "catches" // it has a handler
	Blocks  Handling = "blocks"  // a thread takes it by signalfd(2) or sigwait(3)
	Ends    Handling = "ends"    // TERM, INT or QUIT without a handler: ending it is what they mean
	Ignores Handling = "ignores"
	Drops   Handling = "drops" // PID 1 of its namespace has no handler: the kernel drops it
	Dies    Handling = "dies"  // no handler, for a signal that is not meant to end it
)

func (st status) catches(sig syscall.Signal) bool {
	return st.catch&(1<<(sig-1)) != 0 && !st.ignores(sig)
}

func (st status) ignores(sig syscall.Signal) bool { return st.ignored&(1<<(sig-1)) != 0 }

// looksLikeGo reports whether the mask of caught signals is that of a Go program, which
// says nothing about its handlers.
func (st status) looksLikeGo() bool { return bits.OnesCount64(st.catch) >= goCatches }

// handling reads the threads' masks only if the process does not catch the signal.
func (t *Target) handling(sig syscall.Signal, st status) (Handling, error) {
	if st.catches(sig) {
		return Catches, nil
	}
	taken, err := t.finder.blocks(t.PID, st, sig)
	switch {
	case err != nil:
		return "", err
	case taken && !t.running.caught:
		return Blocks, nil
	case st.ignores(sig): // background jobs of a shell ignore INT and QUIT (sh(1))
		return Ignores, nil
	case st.innermost == 1:
		return Drops, nil
	case MeansEnd(sig):
		return Ends, nil
	default:
		return Dies, nil
	}
}

// gate holds back a signal that would kill the target or be lost.
func (t *Target) gate(sig syscall.Signal, st status) error {
	f, catches := t.finder, st.catches(sig)
	t.running.caught = t.running.caught || catches

	// The mask of a Go program says nothing, and an exec does not change the start time:
	// such a program must also have been visible for a while.
	born := t.Started
	if catches && st.looksLikeGo() {
		born = t.running.since
	}
	if age := f.sys.now() - born; age < f.opts.Grace {
		return &NotReadyError{
			Why:   fmt.Sprintf("%s (pid %d) has only just started", t.Name, t.PID),
			Retry: f.opts.Grace - age,
		}
	}
	handling, err := t.handling(sig, st)
	if err != nil {
		return err
	}
	if handling != Blocks {
		t.running.blocked = 0
		t.kin.takes = t.kin.takes || handling == Catches
		return t.refusal(handling, sig)
	}
	if t.running.blocked == 0 {
		t.running.blocked = f.sys.now()
	}
	if rest := blockedFor - (f.sys.now() - t.running.blocked); rest > 0 {
		return &NotReadyError{
			Why:   fmt.Sprintf("%s (pid %d) blocks %s", t.Name, t.PID, Name(sig)),
			Retry: rest,
		}
	}
	t.kin.takes, t.kin.blocks = true, t.running.blocked
	return nil
}

// refusal says why a signal with this handling is not sent, and how to fix it; nil: it is
// sent.
func (t *Target) refusal(handling Handling, sig syscall.Signal) error {
	var why, fix string
	switch handling {
	case Drops:
		why = "is PID 1 of its namespace and has no handler for %s, so the kernel would drop it"
		fix = "set SIGNAL to the one it reloads on, or run an init as PID 1 (shareProcessNamespace: true; Compose: init: true)"
	case Ignores:
		why = "ignores %s"
		fix = "set SIGNAL to the one it reloads on"
		if MeansEnd(sig) {
			fix += ", or one that ends it"
		}
	case Dies:
		why = "has no handler for %s, which would end it or be lost"
		fix = "set SIGNAL to the one it reloads on"
	default:
		return nil
	}
	why = fmt.Sprintf("%s (pid %d) "+why, t.Name, t.PID, Name(sig))
	if behind := t.behind(sig); behind != "" {
		return &NotReadyError{Why: why + "; " + behind}
	}
	return &NotReadyError{Why: why + ": " + fix}
}
