package signal

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Why a signal is held back is told with what would mend it.
func TestG1SaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		pid   int
		sig   syscall.Signal
		state func(*proc, uint64)
		want  string
	}{
		"no handler": {
			7, unix.SIGHUP, nothing,
			"nginx (pid 7) has no handler for HUP, which would end it or be lost: set SIGNAL to the one that it reloads on",
		},
		"ignored": {
			7, unix.SIGUSR1, ignores,
			"nginx (pid 7) ignores USR1: set SIGNAL to the one that it reloads on",
		},
		"ignored, though it means the end": {
			7, unix.SIGQUIT, ignores,
			"nginx (pid 7) ignores QUIT: set SIGNAL to the one that it reloads on, or that ends it",
		},
		"PID 1": {
			1, unix.SIGTERM, nothing,
			"nginx (pid 1) is PID 1 of its namespace and has no handler for TERM, so that the kernel would drop it: " +
				"set SIGNAL to the one that it reloads on, or put an init before it (shareProcessNamespace: true; Compose: init: true)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := nginx(test.pid)
			test.state(p, mask(test.sig))
			target := only(t, newFake(t, p).finder(Options{}))
			for what, do := range map[string]func() error{
				"Send":  func() error { return target.Send(test.sig) },
				"Ready": func() error { return target.Ready(test.sig) },
			} {
				if err := do(); err == nil || err.Error() != test.want {
					t.Errorf("%s: %v\nwant %s", what, err, test.want)
				}
			}
		})
	}
}

// Ready is a look as well: a dry run finds a blocked signal taken at the second.
func TestG1ReadyLooks(t *testing.T) {
	p := nginx(7)
	blocks(p, mask(unix.SIGHUP))
	f := newFake(t, p)
	target := only(t, f.finder(Options{}))
	var unready *NotReadyError
	if err := target.Ready(unix.SIGHUP); !errors.As(err, &unready) || unready.Retry != 20*time.Millisecond {
		t.Errorf("at first: %v", err)
	}
	f.now += 20 * time.Millisecond
	if err := target.Ready(unix.SIGHUP); err != nil || p.got != nil {
		t.Errorf("then: %v, got %v", err, p.got)
	}
}

// That threads cannot be read is no leave to send.
func TestG1ThreadsUnreadable(t *testing.T) {
	broken := errors.New("broken")
	p := nginx(7)
	nothing(p, 0)
	f := newFake(t, p)
	f.sys.threads = func(int) ([]status, error) { return nil, broken }
	target := only(t, f.finder(Options{}))
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGTERM} {
		if err := target.Send(sig); !errors.Is(err, broken) || p.got != nil {
			t.Errorf("%s: %v, got %v", Name(sig), err, p.got)
		}
	}
}
