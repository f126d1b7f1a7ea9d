package signal

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The ways to signal a target: by pidfd, or by pid if there is none.
var ways = map[string]error{
	"with pidfd":     nil,
	"without pidfd":  unix.ENOSYS,
	"pidfd refused":  unix.EPERM,
	"no pidfds left": unix.EMFILE,
}

func TestSend(t *testing.T) {
	for way, noPidfd := range ways {
		t.Run(way, func(t *testing.T) {
			f := newFake(t, nginx(7), child(8, 7, 0))
			f.noPidfd = noPidfd
			target := only(t, f.finder(Options{}))
			if err := target.Ready(unix.SIGHUP); err != nil {
				t.Errorf("Ready: %v", err)
			}
			if got := f.procs[7].got; got != nil {
				t.Errorf("Ready has sent %v", got)
			}
			if err := target.Send(unix.SIGHUP); err != nil {
				t.Errorf("Send: %v", err)
			}
			if diff := cmp.Diff(fmt.Sprint([]string{"hangup"}), fmt.Sprint(f.procs[7].got)); diff != "" {
				t.Errorf("the master got (-want +got)\n%s", diff)
			}
			if got := f.procs[8].got; got != nil {
				t.Errorf("the worker got %v", got)
			}
		})
	}
}

// What has replaced the target between Find and Send gets no signal.
func TestP4ReplacedBeforeSend(t *testing.T) {
	for way, noPidfd := range ways {
		for name, change := range map[string]func(*fake, *proc){
			"ended":                    func(f *fake, _ *proc) { delete(f.procs, 7) },
			"zombie":                   func(_ *fake, p *proc) { p.state = 'Z' },
			"pid went to its like":     func(f *fake, p *proc) { q := *p; q.started++; f.procs[7] = &q },
			"pid went to another":      func(f *fake, _ *proc) { f.procs[7] = &proc{pid: 7, comm: "sh", caught: mask(unix.SIGHUP), started: 5} },
			"unreadable all at once":   func(_ *fake, p *proc) { p.hidden = errGone },
			"pid went to its own kind": func(f *fake, _ *proc) { q := nginx(7); q.started = f.now; f.procs[7] = q },
		} {
			t.Run(way+", "+name, func(t *testing.T) {
				p := nginx(7)
				f := newFake(t, p)
				f.noPidfd = noPidfd
				target := only(t, f.finder(Options{}))
				change(f, p)
				if err := target.Send(unix.SIGHUP); !errors.Is(err, ErrGone) {
					t.Errorf("Send: %v, want ErrGone", err)
				}
				if p.got != nil || f.procs[7] != nil && f.procs[7].got != nil {
					t.Error("a signal was sent")
				}
			})
		}
	}
}

// At each step of Find and Send the process ends, and another one of the same name gets its
// pid: that one must never get the signal.
func TestP4ReplacedWithin(t *testing.T) {
	for way, noPidfd := range ways {
		for step := range 16 {
			t.Run(fmt.Sprintf("%s, at step %d", way, step), func(t *testing.T) {
				first, second := nginx(7), nginx(7)
				first.caught, first.blocked = 0, mask(unix.SIGHUP) // takes the most steps
				second.caught, second.blocked, second.started = 0, mask(unix.SIGHUP), time.Minute
				f := newFake(t, first)
				f.noPidfd = noPidfd
				atStep(f, step, func() { f.procs[7] = second })
				targets := found(t, f.finder(Options{}))
				isFirst := len(targets) > 0 && targets[0].Started == first.started
				for range 2 {
					for _, target := range targets {
						_ = target.Send(unix.SIGHUP)
					}
					f.now += blockedFor
				}
				if isFirst && second.got != nil {
					t.Errorf("the target was the first, the second got %v", second.got)
				}
				if !isFirst && first.got != nil {
					t.Errorf("the target was not the first, which got %v", first.got)
				}
			})
		}
	}
}

// The same by exec, which keeps the pid, the start time and the pidfd.
func TestP4ExecWithinFind(t *testing.T) {
	for step := range 6 {
		t.Run(fmt.Sprintf("at step %d", step), func(t *testing.T) {
			p := nginx(7)
			f := newFake(t, p)
			atStep(f, step, func() { p.comm, p.args = "sh", []string{"sh"} })
			targets := found(t, f.finder(Options{}))
			p.comm, p.args = "sh", []string{"sh"}
			for _, target := range targets {
				var unready *NotReadyError
				if err := target.Send(unix.SIGHUP); !errors.As(err, &unready) || p.got != nil {
					t.Errorf("Send: %v, sent %v", err, p.got)
				}
			}
		})
	}
}

// atStep makes something happen right before a call about a process, counted from 0. It
// leaves out kill(2): nothing can be checked between the last read and that.
func atStep(f *fake, step int, happens func()) {
	calls, was := 0, *f.sys
	before := func() {
		if calls == step {
			happens()
		}
		calls++
	}
	f.sys.stat = func(pid int) (stat, error) { before(); return was.stat(pid) }
	f.sys.status = func(pid int) (status, error) { before(); return was.status(pid) }
	f.sys.threads = func(pid int) ([]status, error) { before(); return was.threads(pid) }
	f.sys.open = func(pid int) (int, error) { before(); return was.open(pid) }
	f.sys.send = func(pidfd int, sig syscall.Signal) error { before(); return was.send(pidfd, sig) }
	f.sys.cmdline = func(pid int) ([]string, error) { before(); return was.cmdline(pid) }
}

func TestSendFails(t *testing.T) {
	for way, noPidfd := range ways {
		t.Run(way, func(t *testing.T) {
			f := newFake(t, nginx(7))
			f.noPidfd = noPidfd
			target := only(t, f.finder(Options{}))
			f.denied = unix.EAGAIN
			err := target.Send(unix.SIGHUP)
			const want = "sending HUP to nginx (pid 7): resource temporarily unavailable"
			if !errors.Is(err, unix.EAGAIN) || err.Error() != want {
				t.Errorf("Send: %v\nwant %s", err, want)
			}
			f.denied = unix.ESRCH
			if err := target.Send(unix.SIGHUP); !errors.Is(err, ErrGone) {
				t.Errorf("Send: %v, want ErrGone", err)
			}
			broken := errors.New("broken")
			f.procs[7].hidden = broken
			if err := target.Send(unix.SIGHUP); !errors.Is(err, broken) || errors.Is(err, ErrGone) {
				t.Errorf("Send: %v, want what reading failed with", err)
			}
		})
	}
}
