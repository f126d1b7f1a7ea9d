package signal

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process has ended, or is no longer what it was.
var ErrGone = errors.New("the process has ended")

const (
	// blockedFor is how long a signal must have been blocked to count as taken by
	// signalfd(2) or sigwait(3): a fork blocks all signals for about 0.1 ms.
	blockedFor = 20 * time.Millisecond

	// goCatches is how many signals the Go runtime catches at the least, whatever
	// the program does with them (initsig in runtime/signal_unix.go); other
	// programs catch a dozen.
	goCatches = 50
)

// A NotReadyError says why a signal was held back: it would end the target, or be
// lost. It may pass: programs set their handlers while they start.
type NotReadyError struct {
	Why   string        // with what would mend it, should it last
	Retry time.Duration // from now, when that is known; else 0
}

func (e *NotReadyError) Error() string { return e.Why }

// Send sends sig if the process is still the one found and is ready for it. The
// error is ErrGone, a *NotReadyError, or wraps the errno of pidfd_send_signal(2);
// then nothing was sent. before runs right before the signal, if all is well.
func (t *Target) Send(ctx context.Context, sig syscall.Signal, before func()) error {
	st, err := t.ready(ctx, sig)
	if err != nil {
		return err
	}
	before()
	sys := t.finder.sys
	switch {
	case t.pidfd >= 0:
		err = sys.send(t.pidfd, sig)
	case t.Ended(): // asked last of all: until here, another may have got the pid
		return ErrGone
	default:
		err = sys.kill(t.PID, sig)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH):
		return ErrGone
	case errors.Is(err, unix.EPERM):
		return t.permission(sig, st)
	default:
		return fmt.Errorf("sending %s to %s (pid %d): %w", Name(sig), t.Name, t.PID, err)
	}
}

// permission explains an EPERM (kill(2): our uid must be the target's real or
// saved one, whatever the capabilities of a container that is not root).
func (t *Target) permission(sig syscall.Signal, st status) error {
	f := t.finder
	if f.sys.uid == st.uid || f.sys.uid == st.savedUID {
		return fmt.Errorf("podsignal and %s (pid %d) both run as uid %d, yet %s is not permitted: allow it in the AppArmor or SELinux profile: %w",
			t.Name, t.PID, f.sys.uid, Name(sig), unix.EPERM)
	}
	also := ""
	if st.uid == 0 {
		also = " and runAsNonRoot: false"
	}
	return fmt.Errorf("podsignal runs as uid %d, %s (pid %d) as uid %d: set securityContext.runAsUser: %d%s on this container (Compose: user: \"%d\"): %w",
		f.sys.uid, t.Name, t.PID, st.uid, st.uid, also, st.uid, unix.EPERM)
}

// Ready does all that Send does, but sends nothing.
func (t *Target) Ready(ctx context.Context, sig syscall.Signal) error {
	_, err := t.ready(ctx, sig)
	return err
}

// ready reads one file in the usual case. What it reads is of the process found
// as long as the pidfd works: if another has its pid by now, the pidfd does not.
func (t *Target) ready(ctx context.Context, sig syscall.Signal) (status, error) {
	f := t.finder
	st, err := f.sys.status(t.PID)
	if errors.Is(err, errGone) {
		return st, ErrGone
	}
	if err != nil {
		return st, err
	}
	known := stat{comm: t.comm, state: st.state, started: t.Started}
	if st.comm != t.comm || !f.matches(ctx, t.PID, known) {
		return st, ErrGone
	}
	return st, t.gate(sig, st)
}

// gate holds back a signal that would end the target or be lost.
func (t *Target) gate(sig syscall.Signal, st status) error {
	f, bit := t.finder, uint64(1)<<(sig-1)
	catches := st.catch&bit != 0 && st.ignored&bit == 0
	t.caught = t.caught || catches

	// The mask of a Go program says nothing, and the start time is not that of an
	// exec: such a program must have been in sight for a while too.
	born := t.Started
	if catches && bits.OnesCount64(st.catch) >= goCatches {
		born = t.since
	}
	if age := f.sys.now() - born; age < f.opts.Grace {
		return &NotReadyError{
			Why:   fmt.Sprintf("%s (pid %d) has only just started", t.Name, t.PID),
			Retry: f.opts.Grace - age,
		}
	}
	if catches {
		return nil
	}
	blocked, err := t.blocks(bit)
	if err != nil {
		return err
	}
	if !blocked {
		t.blocked = 0
	}
	switch {
	case blocked && !t.caught:
		if t.blocked == 0 {
			t.blocked = f.sys.now()
		}
		if rest := blockedFor - (f.sys.now() - t.blocked); rest > 0 {
			return &NotReadyError{
				Why:   fmt.Sprintf("%s (pid %d) blocks %s", t.Name, t.PID, Name(sig)),
				Retry: rest,
			}
		}
		return nil
	case st.innermost == 1 && st.ignored&bit == 0:
		return &NotReadyError{Why: fmt.Sprintf("%s (pid %d) is PID 1 of its namespace and has no handler for %s, so that the kernel would drop it: set SIGNAL to the one that it reloads on, or put an init before it (shareProcessNamespace: true; Compose: init: true)",
			t.Name, t.PID, Name(sig))}
	case sig == unix.SIGTERM || sig == unix.SIGINT || sig == unix.SIGQUIT:
		return nil // they mean to end it
	}
	if st.ignored&bit != 0 {
		return &NotReadyError{Why: fmt.Sprintf("%s (pid %d) ignores %s: set SIGNAL to the one that it reloads on", t.Name, t.PID, Name(sig))}
	}
	return &NotReadyError{Why: fmt.Sprintf("%s (pid %d) has no handler for %s, which would end it or be lost: set SIGNAL to the one that it reloads on", t.Name, t.PID, Name(sig))}
}

// blocks tells whether a thread blocks the signal, to take it by signalfd(2) or
// sigwait(3).
func (t *Target) blocks(bit uint64) (bool, error) {
	threads, err := t.finder.sys.threads(t.PID)
	for _, st := range threads {
		if st.blocked&bit != 0 {
			return true, nil
		}
	}
	return false, err
}
