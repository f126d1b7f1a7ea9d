package signal

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process has ended, or is no longer what it was.
var ErrGone = errors.New("the process has ended")

// A NotReadyError says why a signal was held back: it would end the target, or be
// lost. It may pass: programs set their handlers while they start.
type NotReadyError struct {
	Why   string        // with what would mend it, should it last
	Retry time.Duration // from now, when that is known; else 0
}

func (e *NotReadyError) Error() string { return e.Why }

// passedFor is for how long the gate's answer holds: programs that execute themselves anew,
// and lose their handlers by that, do so at any time.
const passedFor = 100 * time.Millisecond

// A pass is what the gate has let through.
type pass struct {
	sig    syscall.Signal // 0: nothing
	status status
	at     time.Duration // since boot
}

// Ready says why sig may not be sent now: it is ErrGone, a *NotReadyError, or an error of
// reading /proc; nil if it may. What has to be known before a signal is to be noted between
// Ready and Send.
func (t *Target) Ready(sig syscall.Signal) error {
	st, err := t.ready(sig)
	t.pass = pass{}
	if err == nil {
		t.pass = pass{sig, st, t.finder.sys.now()}
	}
	return err
}

// Send sends sig if the process is still the one found and is ready for it, which it asks
// unless Ready has just said so. The error is ErrGone, a *NotReadyError, or wraps the errno of
// pidfd_send_signal(2); then nothing was sent.
func (t *Target) Send(sig syscall.Signal) error {
	passed := t.pass
	t.pass = pass{}
	if passed.sig != sig || t.finder.sys.now()-passed.at > passedFor {
		st, err := t.ready(sig)
		if err != nil {
			return err
		}
		passed.status = st
	}
	return t.send(sig, sig, passed.status)
}

// send sends a signal now. What is said of a failure is said of the signal meant:
// signal 0 is sent to learn whether that may be sent (kill(2)).
func (t *Target) send(sig, meant syscall.Signal, st status) (err error) {
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
		return t.permission(meant, st)
	default:
		return fmt.Errorf("sending %s to %s (pid %d): %w", Name(meant), t.Name, t.PID, err)
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

// ready reads one file in the usual case. What it reads is of the process found
// as long as the pidfd works: if another has its pid by now, the pidfd does not.
func (t *Target) ready(sig syscall.Signal) (status, error) {
	st, err := t.status()
	if err != nil {
		return st, err
	}
	return st, t.gate(sig, st)
}

// status is that of the process found, or ErrGone.
func (t *Target) status() (status, error) {
	st, err := t.finder.sys.status(t.PID)
	if errors.Is(err, errGone) {
		return st, ErrGone
	}
	if err != nil {
		return st, err
	}
	same := st.comm == t.comm && t.astray == 0
	if same {
		_, same, err = t.finder.matches(t.PID, stat{comm: t.comm, state: st.state, started: t.Started})
	}
	if err == nil && !same {
		err = t.changed()
	}
	return st, err
}

// changed says what has become of a process whose status is not the target's.
func (t *Target) changed() error {
	f := t.finder
	st, err := f.sys.stat(t.PID)
	if hidden(err) || err == nil && (st.started != t.Started || st.ended()) {
		return ErrGone
	}
	if err != nil {
		return err
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
	return &NotReadyError{Why: fmt.Sprintf("%s (pid %d) executes itself anew, or has become another program", t.Name, t.PID)}
}
