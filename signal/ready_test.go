package signal

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// After Ready, the status is not read again, unless that was too long ago or for another
// signal.
func TestSendAfterReady(t *testing.T) {
	for name, test := range map[string]struct {
		ready syscall.Signal // 0: Ready is not called
		after time.Duration
		looks int
	}{
		"at once":           {unix.SIGHUP, 0, 1},
		"in time":           {unix.SIGHUP, passedFor, 1},
		"too late":          {unix.SIGHUP, passedFor + 1, 2},
		"of another signal": {unix.SIGUSR1, 0, 2},
		"without it":        {0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := &proc{pid: 7, comm: "web", caught: mask(unix.SIGHUP) | mask(unix.SIGUSR1)}
			f := newFake(t, p)
			target := only(t, f.finder(Options{Name: "web"}))
			looks, read := 0, f.sys.status
			f.sys.status = func(pid int) (status, error) { looks++; return read(pid) }
			if test.ready != 0 {
				if err := target.Ready(test.ready); err != nil {
					t.Fatal(err)
				}
			}
			f.now += test.after
			if err := target.Send(unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if looks != test.looks {
				t.Errorf("the status was read %d times, want %d", looks, test.looks)
			}
			if err := target.Send(unix.SIGHUP); err != nil || looks != test.looks+1 {
				t.Errorf("a second signal: %v, with %d looks in all, want %d: one Ready is for one signal", err, looks, test.looks+1)
			}
			if len(p.got) != 2 {
				t.Errorf("got %v, want two signals", p.got)
			}
		})
	}
}

// A target that passed Ready and has lost its handlers since is held back.
func TestSendAfterReadyTooLate(t *testing.T) {
	p := &proc{pid: 7, comm: "web", caught: mask(unix.SIGHUP)}
	f := newFake(t, p)
	target := only(t, f.finder(Options{Name: "web"}))
	if err := target.Ready(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.caught = 0
	f.now += passedFor + 1
	var unready *NotReadyError
	if err := target.Send(unix.SIGHUP); !errors.As(err, &unready) || p.got != nil {
		t.Errorf("%v, got %v; want a *NotReadyError and nothing sent", err, p.got)
	}
}
