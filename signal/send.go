package signal

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process has ended, or has become another program.
var ErrGone = errors.New("the process has ended")

// A NotReadyError says why a signal was held back: it would kill the target or be lost. That
// may change: programs set their handlers while they start.
type NotReadyError struct {
	Why   string        // and how to fix it, should it last
	Retry time.Duration // time until the next attempt; 0: unknown
}

// Error is Why.
func (e *NotReadyError) Error() string { return e.Why }

// passedFor is how long the gate's answer is valid: programs may re-execute themselves, and
// so lose their handlers, at any time.
const passedFor = 100 * time.Millisecond

// A pass records what the gate has let through.
type pass struct {
	sig    syscall.Signal // 0: nothing
	status status
	at     time.Duration // since boot
}

// Ready returns nil if sig may be sent now, and otherwise why not: ErrGone, a *NotReadyError,
// or an error from reading /proc. Between Ready and Send, the caller can record what it has
// to know of the time before the signal.
func (t *Target) Ready(sig syscall.Signal) error {
	st, err := t.ready(sig)
	t.running.pass = pass{}
	if err == nil {
		t.running.pass = pass{sig, st, t.finder.sys.now()}
	}
	return err
}

// Send sends sig if the process is still the one found and is ready for it. It checks that,
// unless Ready has just done so. The error is ErrGone, a *NotReadyError, or wraps the errno
// of pidfd_send_signal(2); after an error nothing was sent.
func (t *Target) Send(sig syscall.Signal) error {
	passed := t.running.pass
	t.running.pass = pass{}
	if passed.sig != sig || t.finder.sys.now()-passed.at > passedFor {
		st, err := t.ready(sig)
		if err != nil {
			return err
		}
		passed.status = st
	}
	return t.send(sig, sig, passed.status)
}

// send sends a signal now. Its error names the signal meant: signal 0 is sent to learn
// whether that one may be sent (kill(2)).
func (t *Target) send(sig, meant syscall.Signal, st status) (err error) {
	sys := t.finder.sys
	switch {
	case t.pidfd >= 0:
		err = sys.send(t.pidfd, sig)
	case t.Ended(): // checked last: until here, another process may have got the pid
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
		return t.permission(meant, st)
	default:
		return fmt.Errorf("sending %s to %s (pid %d): %w", Name(meant), t.Name, t.PID, err)
	}
}

// permission explains an EPERM. By kill(2) our uid must be the target's real or saved one, or we
// must have the capability KILL, which is of no use in a container that is not root.
func (t *Target) permission(sig syscall.Signal, st status) error {
	f := t.finder
	switch {
	case f.sys.uid == st.uid || f.sys.uid == st.savedUID:
		return fmt.Errorf("podsignal and %s (pid %d) both run as uid %d, yet %s is not permitted: allow it in the AppArmor or SELinux profile: %w",
			t.Name, t.PID, f.sys.uid, Name(sig), unix.EPERM)
	case f.sys.mayKill():
		return fmt.Errorf("podsignal runs as uid %d, with the capability KILL, yet %s to %s (pid %d), of uid %d, is not permitted: allow it in the AppArmor or SELinux profile: %w",
			f.sys.uid, Name(sig), t.Name, t.PID, st.uid, unix.EPERM)
	}
	also := ""
	switch {
	case st.uid == 0:
		also = " and runAsNonRoot: false"
	case f.sys.uid == 0:
		also = ", or add the capability KILL,"
	}
	return fmt.Errorf("podsignal runs as uid %d, %s (pid %d) as uid %d: set securityContext.runAsUser: %d%s on this container (Compose: user: \"%d\"): %w",
		f.sys.uid, t.Name, t.PID, st.uid, st.uid, also, st.uid, unix.EPERM)
}

// ready usually reads one file. That belongs to the process found as long as the pidfd works:
// if another process has the pid by now, the pidfd does not work.
func (t *Target) ready(sig syscall.Signal) (status, error) {
	st, err := t.status()
	if err != nil {
		return st, err
	}
	return st, t.gate(sig, st)
}

// status returns the status of the process found, or ErrGone.
func (t *Target) status() (status, error) {
	st, err := t.finder.sys.status(t.PID)
	if errors.Is(err, errGone) {
		return st, ErrGone
	}
	if err != nil {
		return st, err
	}
	same := st.comm == t.running.comm && t.running.astray == 0
	if same {
		_, same, err = t.finder.matches(t.PID, stat{comm: t.running.comm, state: st.state, started: t.Started})
	}
	if err == nil && !same {
		err = t.changed()
	}
	return st, err
}

// changed says what became of a process whose status is not the target's.
func (t *Target) changed() error {
	f := t.finder
	st, err := f.sys.stat(t.PID)
	if hidden(err) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	if st.started != t.Started || st.ended() {
		return ErrGone
	}
	_, match, err := f.matches(t.PID, st)
	switch {
	case err != nil:
		return err
	case match:
		t.goesBy(st.comm)
	case !t.isAstray():
		return ErrGone
	}
	return &NotReadyError{Why: fmt.Sprintf("%s (pid %d) is re-executing itself, or has become another program", t.Name, t.PID)}
}
