package signal

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// If a wrapper is not ready for the signal and one of its descendants catches it, the error
// names that one.
func TestWrapper(t *testing.T) {
	usr2 := mask(unix.SIGUSR2)
	haproxy := func(pid, parent int) *proc {
		return &proc{pid: pid, parent: parent, comm: "haproxy", args: []string{"haproxy", "-W"}, caught: usr2}
	}
	shell := func(pid, parent int) *proc {
		return &proc{pid: pid, parent: parent, comm: "sh", args: []string{"sh"}}
	}
	python := func(pid, parent int, arg string) *proc {
		return &proc{pid: pid, parent: parent, comm: "python3", args: []string{"python3", arg}, caught: usr2}
	}
	with := func(p *proc, change func(*proc)) *proc { change(p); return p }
	const (
		dies  = "entry.sh (pid 7) has no handler for USR2, which would end it or be lost"
		alone = dies + ": set SIGNAL to the one it reloads on"
	)
	for name, test := range map[string]struct {
		cmdline string
		sig     syscall.Signal
		change  func(*proc) // of the wrapper
		procs   []*proc
		want    string
	}{
		"no child":              {"", unix.SIGUSR2, nothing7, nil, alone},
		"a child":               {"", unix.SIGUSR2, nothing7, []*proc{haproxy(12, 7)}, dies + "; its child haproxy (pid 12) catches USR2: set PROCESS=haproxy"},
		"with workers":          {"", unix.SIGUSR2, nothing7, []*proc{haproxy(12, 7), haproxy(13, 12)}, dies + "; its child haproxy (pid 12) catches USR2: set PROCESS=haproxy"},
		"behind another":        {"", unix.SIGUSR2, nothing7, []*proc{shell(11, 7), haproxy(12, 11)}, dies + "; its descendant haproxy (pid 12) catches USR2: set PROCESS=haproxy"},
		"the nearest":           {"", unix.SIGUSR2, nothing7, []*proc{shell(10, 7), haproxy(11, 10), python(12, 7, "x")}, dies + "; its child python3 (pid 12) catches USR2: set PROCESS=python3"},
		"the first of several":  {"", unix.SIGUSR2, nothing7, []*proc{haproxy(12, 7), python(10, 7, "x")}, dies + "; its child python3 (pid 10) catches USR2: set PROCESS=python3"},
		"somebody else's":       {"", unix.SIGUSR2, nothing7, []*proc{haproxy(12, 3)}, alone},
		"catches another":       {"", unix.SIGUSR2, nothing7, []*proc{with(haproxy(12, 7), func(p *proc) { p.caught = mask(unix.SIGHUP) })}, alone},
		"ignores it":            {"", unix.SIGUSR2, nothing7, []*proc{with(haproxy(12, 7), func(p *proc) { p.ignored = usr2 })}, alone},
		"a zombie":              {"", unix.SIGUSR2, nothing7, []*proc{with(haproxy(12, 7), func(p *proc) { p.state = 'Z' })}, alone},
		"a worker of that name": {"", unix.SIGUSR2, nothing7, []*proc{with(haproxy(12, 7), func(p *proc) { p.comm = "entry.sh" })}, alone},
		"a name without others": {"", unix.SIGUSR2, nothing7, []*proc{python(12, 7, "/srv/app.py")}, dies + "; its child python3 (pid 12) catches USR2: set PROCESS=python3"},
		"a name of several":     {"", unix.SIGUSR2, nothing7, []*proc{python(12, 7, "/srv/app.py"), python(13, 3, "/srv/other.py")}, dies + `; its child python3 (pid 12) catches USR2: set PROCESS=python3 and CMDLINE=app\.py`},
		"no name for it":        {"", unix.SIGUSR2, nothing7, []*proc{with(haproxy(12, 7), func(p *proc) { p.comm, p.args = "(odd)", []string{"(odd)"} })}, alone},
		"CMDLINE is set":        {"entry", unix.SIGUSR2, nothing7, []*proc{haproxy(12, 7)}, dies + "; its child haproxy (pid 12) catches USR2: set PROCESS=haproxy and unset CMDLINE"},

		"one that ignores it": {
			"", unix.SIGQUIT, func(p *proc) { p.ignored = mask(unix.SIGQUIT) },
			[]*proc{with(haproxy(12, 7), func(p *proc) { p.caught = mask(unix.SIGQUIT) })},
			"entry.sh (pid 7) ignores QUIT; its child haproxy (pid 12) catches QUIT: set PROCESS=haproxy",
		},
		"PID 1": {
			"", unix.SIGUSR2, func(p *proc) { p.innermost = 1 },
			[]*proc{haproxy(12, 7)},
			"entry.sh (pid 7) is PID 1 of its namespace and has no handler for USR2, so the kernel would drop it; its child haproxy (pid 12) catches USR2: set PROCESS=haproxy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrapper := &proc{pid: 7, comm: "entry.sh", args: []string{"/bin/sh", "/entry.sh"}}
			test.change(wrapper)
			f := newFake(t, append(test.procs, wrapper, shell(3, 0))...)
			opts := Options{Name: "entry.sh", Signal: test.sig}
			if test.cmdline != "" {
				opts.Cmdline = regexp.MustCompile(test.cmdline)
			}
			target := only(t, f.finder(opts))
			for range 2 {
				if err := target.Ready(test.sig); err == nil || err.Error() != test.want {
					t.Errorf("%v\nwant %s", err, test.want)
				}
			}
			if survey := f.survey(opts, test.sig); fmt.Sprint(survey.Processes[0].Refusal) != test.want {
				t.Errorf("check: %+v", survey.Processes)
			}
		})
	}
}

func nothing7(*proc) {}

// For the name, all command lines are read once, however often the signal is retried.
func TestWrapperReadsOnce(t *testing.T) {
	child := nginx(8)
	child.parent = 7
	f := newFake(t, &proc{pid: 7, comm: "entry.sh", args: []string{"/bin/sh", "/entry.sh"}}, child)
	target := only(t, f.finder(Options{Name: "entry.sh"}))
	reads := func() (n int) {
		f.calls = nil
		if err := target.Ready(unix.SIGHUP); err == nil || !strings.Contains(err.Error(), "its child nginx (pid 8)") {
			t.Fatal(err)
		}
		for _, call := range f.calls {
			if strings.HasPrefix(call, "cmdline") {
				n++
			}
		}
		return n
	}
	if first, second := reads(), reads(); first == 0 || second > 1 {
		t.Errorf("%d command lines were read, then %d", first, second)
	}
	child.comm, child.args = "openresty", []string{"openresty"} // by an exec
	if err := target.Ready(unix.SIGHUP); err == nil || !strings.Contains(err.Error(), "its child openresty (pid 8)") {
		t.Error(err)
	}
}

// The shell that has started podsignal is not a wrapper of it.
func TestWrapperOfPodsignal(t *testing.T) {
	f := newFake(t, &proc{pid: 7, comm: "entry.sh", args: []string{"/bin/sh", "/entry.sh"}})
	f.procs[us].parent, f.procs[us].caught = 7, goMask
	target := only(t, f.finder(Options{Name: "entry.sh"}))
	if err := target.Ready(unix.SIGHUP); err == nil || strings.Contains(err.Error(), "child") {
		t.Error(err)
	}
}
