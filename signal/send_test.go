package signal

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// How targets are signalled: by pidfd, or where there are none by pid.
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

// Between Find and Send: whatever has taken the target's place gets no signal.
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

// A program that executes itself anew, as Puma does to reload, has not its title for a
// moment. It gets no signal in that time, is no other target after it, and what is known
// of how it takes the signal is known of it no more.
func TestExecutesItselfAnew(t *testing.T) {
	const (
		anew  = "nginx (pid 7) executes itself anew, or has become another program"
		title = "nginx: master"
	)
	hup := mask(unix.SIGHUP)
	script := func(p *proc) { p.args, p.caught = []string{"ruby", "/usr/bin/nginx"}, 0 }
	for name, test := range map[string]struct {
		exec  func(*proc)
		after func(*proc)
		grace time.Duration
		want  string // when it is all over
	}{
		"another name for a moment": {func(p *proc) { p.comm = "ruby3.1"; script(p) }, func(p *proc) { p.args, p.caught = []string{title}, hup }, 0, ""},
		"the same name":             {script, func(p *proc) { p.args, p.caught = []string{title}, hup }, 0, ""},
		"no handler yet":            {script, func(p *proc) { p.args = []string{title} }, 0, noHandler},
		"takes it by sigwait now":   {script, func(p *proc) { p.args, p.blocked = []string{title}, hup }, 0, blocked},
		"a Go program by now":       {script, func(p *proc) { p.args, p.caught = []string{title}, goMask }, time.Second, young},
		"a C program, old enough":   {script, func(p *proc) { p.args, p.caught = []string{title}, hup }, time.Second, ""},
	} {
		for _, looks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, looks between: %t", name, looks), func(t *testing.T) {
				p := &proc{pid: 7, comm: "main", args: []string{title}, caught: hup}
				f := newFake(t, p)
				finder := f.finder(Options{Grace: test.grace})
				target := only(t, finder)
				send := func(want string) {
					t.Helper()
					p.got = nil
					err := target.Send(unix.SIGHUP)
					var unready *NotReadyError
					if want == "" && (err != nil || p.got == nil) || want != "" && (!errors.As(err, &unready) || !strings.Contains(err.Error(), want) || p.got != nil) {
						t.Errorf("%v, sent %v; want %q", err, p.got, want)
					}
				}
				send("")
				test.exec(p)
				for range 2 {
					if looks {
						if again := only(t, finder); again != target || len(f.pidfds) != 1 {
							t.Errorf("another target, or none; %d pidfds", len(f.pidfds))
						}
					}
					send(anew)
					f.now += settled / 3
				}
				test.after(p)
				if looks {
					if again := only(t, finder); again != target {
						t.Error("another target after it")
					}
				} else {
					send(anew) // which finds that it is over
				}
				send(test.want)
			})
		}
	}
}

// So does one that keeps its title, and has another name for the kernel alone.
func TestExecutesItselfAnewWithItsTitle(t *testing.T) {
	hup := mask(unix.SIGHUP)
	for name, before := range map[string]func(*proc, uint64){"caught it": catches, "blocked it": blocks} {
		for _, looks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, looks: %t", name, looks), func(t *testing.T) {
				p := &proc{pid: 7, comm: "main", args: []string{"nginx: master"}}
				before(p, hup)
				f := newFake(t, p)
				finder := f.finder(Options{})
				target := only(t, finder)
				_ = target.Ready(unix.SIGHUP)
				f.now += blockedFor
				if err := target.Send(unix.SIGHUP); err != nil {
					t.Fatal(err)
				}
				p.comm, p.got = "ruby3.1", nil
				blocks(p, hup)
				if looks {
					if again := only(t, finder); again != target {
						t.Error("another target")
					}
				} else if err := target.Send(unix.SIGHUP); err == nil || !strings.Contains(err.Error(), "executes itself anew") {
					t.Error(err)
				}
				try(t, f, target, unix.SIGHUP, []look{{0, blocks, blocked, blockedFor}, {blockedFor, blocks, sent, 0}})
			})
		}
	}
}

// What does not come back to its name has become another program: it is let go.
func TestBecomesAnother(t *testing.T) {
	f := newFake(t, nginx(7))
	finder := f.finder(Options{})
	target := only(t, finder)
	f.procs[7].comm, f.procs[7].args = "sh", nil
	for _, test := range []struct {
		after time.Duration
		looks bool
		want  string
	}{
		{0, true, "has become another"},
		{settled - 1, true, "has become another"},
		{settled - 1, false, "has become another"},
		{settled, false, "ended"},
		{settled, true, "ended"},
	} {
		f.now = time.Hour + test.after
		if test.looks {
			pids := foundPIDs(t, finder)
			if ended := test.want == "ended"; (pids == nil) != ended {
				t.Errorf("after %v: found %d", test.after, pids)
			}
		}
		if err := target.Send(unix.SIGHUP); err == nil || !strings.Contains(err.Error(), test.want) || f.procs[7].got != nil {
			t.Errorf("after %v: %v, sent %v", test.after, err, f.procs[7].got)
		}
	}
	if len(f.pidfds) != 0 {
		t.Errorf("%d pidfds are open", len(f.pidfds))
	}
}

// In that time it may end, and its pid may be another's.
func TestEndsAfterExec(t *testing.T) {
	for name, change := range map[string]func(*fake){
		"ended":                func(f *fake) { delete(f.procs, 7) },
		"a zombie":             func(f *fake) { f.procs[7].state = 'Z' },
		"hidden":               func(f *fake) { f.procs[7].hidden = errGone },
		"its pid is another's": func(f *fake) { f.procs[7] = nginx(7); f.procs[7].started = tick },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nginx(7))
			finder := f.finder(Options{})
			target := only(t, finder)
			f.procs[7].comm, f.procs[7].args = "sh", nil
			only(t, finder)
			change(f)
			if err := target.Send(unix.SIGHUP); !errors.Is(err, ErrGone) {
				t.Errorf("%v, want ErrGone", err)
			}
			for _, again := range found(t, finder) {
				if again == target {
					t.Error("it is still a target")
				}
			}
		})
	}
}

// At each step of Find and Send the process ends and its pid goes to another of
// the same name: that one must never get the signal.
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

// atStep lets something happen right before a call about one process, counted from
// 0, but for kill(2): between the last look and that nothing can be done.
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

// After Ready, the status is not read once more, unless that was too long ago, or for another
// signal.
func TestSendAfterReady(t *testing.T) {
	for name, test := range map[string]struct {
		ready syscall.Signal // 0: nobody has asked
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

// What Ready has let through and has lost its handlers since is held back.
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
