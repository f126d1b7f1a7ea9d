package signal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A program that re-executes itself, as Puma does to reload, has no title for a moment. It
// gets no signal during that time and is the same target afterwards, but what was known of
// its handling of the signal is forgotten.
func TestReexecutes(t *testing.T) {
	const (
		reexecuting = "nginx (pid 7) is re-executing itself, or has become another program"
		title       = "nginx: master"
	)
	hup := mask(unix.SIGHUP)
	script := func(p *proc) { p.args, p.caught = []string{"ruby", "/usr/bin/nginx"}, 0 }
	for name, test := range map[string]struct {
		exec  func(*proc)
		after func(*proc)
		grace time.Duration
		want  string // afterwards
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
					send(reexecuting)
					f.now += settled / 3
				}
				test.after(p)
				if looks {
					if again := only(t, finder); again != target {
						t.Error("another target after it")
					}
				} else {
					send(reexecuting) // which finds that it has its title again
				}
				send(test.want)
			})
		}
	}
}

// The same for one that keeps its title, and has another name only for the kernel.
func TestReexecutesWithItsTitle(t *testing.T) {
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
				} else if err := target.Send(unix.SIGHUP); err == nil || !strings.Contains(err.Error(), "is re-executing itself") {
					t.Error(err)
				}
				try(t, f, target, unix.SIGHUP, []look{{0, blocks, blocked, blockedFor}, {blockedFor, blocks, sent, 0}})
			})
		}
	}
}

// A process that does not return to its name has become another program: it is no longer a
// target.
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

// Meanwhile it may end, and another process may get its pid.
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
