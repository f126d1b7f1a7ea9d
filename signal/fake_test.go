package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A fake is an operating system that has just the processes of a test. What a test
// wants to happen between two calls it puts around a function of sys.
type fake struct {
	t       *testing.T
	sys     *system
	now     time.Duration // since boot
	procs   map[int]*proc
	ours    []procfs.Mount  // what podsignal mounts
	links   map[string]bool // paths that are symlinks
	noPidfd error           // what pidfd_open(2) fails with
	denied  error           // what sending fails with
	pidfds  map[int]*proc   // open, and the process that each is of
	noEnds  error           // what watching pidfds fails with
	ended   func()          // is called at the end of a process that is watched; nil: none is
	watched map[int]bool    // the pidfds that are
	calls   []string        // about single processes, in order
}

// proc is a process of a fake: it sleeps unless it has a state.
type proc struct {
	pid, parent, session     int
	comm                     string
	args                     []string
	started                  time.Duration
	state                    byte
	firstEnded               bool // its first thread; others live
	uid, savedUID            int
	innermost                int
	caught, ignored, blocked uint64
	others                   []uint64 // what its other threads block
	mounts                   []procfs.Mount
	executable               string
	unreadable               error // its mountinfo
	hidden                   error // all of it

	got []syscall.Signal // what was sent to it
}

const us = 2 // podsignal's own pid

func newFake(t *testing.T, procs ...*proc) *fake {
	t.Helper()
	f := &fake{
		t: t, now: time.Hour,
		procs:   map[int]*proc{us: {pid: us, comm: "podsignal", args: []string{"/podsignal"}}},
		links:   make(map[string]bool),
		pidfds:  make(map[int]*proc),
		watched: make(map[int]bool),
	}
	for _, p := range procs {
		f.procs[p.pid] = p
	}
	f.sys = f.system()
	return f
}

// finder looks for nginx, unless told otherwise.
func (f *fake) finder(opts Options) *Finder {
	if opts.Name == "" {
		opts.Name = "nginx"
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	finder := NewFinder(opts)
	finder.sys = f.sys
	return finder
}

// survey is what a look alone tells, as Look does it.
func (f *fake) survey(opts Options, sig syscall.Signal) Survey {
	f.t.Helper()
	finder := f.finder(opts)
	finder.ended = nil
	s, err := finder.survey(f.t.Context(), sig)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// nginx returns a master that catches HUP and has been there for long.
func nginx(pid int) *proc {
	return &proc{
		pid: pid, comm: "nginx", args: []string{"nginx: master process nginx -g daemon off;"},
		innermost: pid, caught: mask(unix.SIGHUP),
	}
}

func mask(sigs ...syscall.Signal) (bits uint64) {
	for _, sig := range sigs {
		bits |= 1 << (sig - 1)
	}
	return bits
}

// system is what the kernel does of the fake's processes.
func (f *fake) system() *system {
	find := func(call string, pid int) (*proc, error) {
		f.calls = append(f.calls, fmt.Sprint(call, " ", pid))
		p, ok := f.procs[pid]
		if !ok {
			return nil, errGone
		}
		return p, p.hidden
	}
	signal := func(p *proc, sig syscall.Signal) error {
		if f.denied == nil {
			p.got = append(p.got, sig)
		}
		return f.denied
	}
	return &system{
		self: us,
		pids: func(context.Context) ([]int32, error) {
			var pids []int32
			for _, pid := range slices.Backward(slices.Sorted(maps.Keys(f.procs))) {
				pids = append(pids, int32(pid))
			}
			return pids, nil
		},
		cmdline: func(pid int) ([]string, error) {
			p, err := find("cmdline", pid)
			if err != nil {
				return nil, err
			}
			return p.args, nil
		},
		stat: func(pid int) (stat, error) {
			p, err := find("stat", pid)
			if err != nil {
				return stat{}, err
			}
			return p.stat(), nil
		},
		status: func(pid int) (status, error) {
			p, err := find("status", pid)
			if err != nil {
				return status{}, err
			}
			return p.status(), nil
		},
		threads: func(pid int) ([]status, error) {
			p, err := find("threads", pid)
			if err != nil {
				return nil, err
			}
			all := []status{p.status()}
			for _, blocked := range p.others {
				thread := p.status()
				thread.blocked = blocked
				all = append(all, thread)
			}
			return all, nil
		},
		mounts: func(pid string) ([]procfs.Mount, error) {
			if pid == "self" {
				return f.ours, nil
			}
			for _, p := range f.procs {
				if fmt.Sprint(p.pid) == pid {
					return p.mounts, p.unreadable
				}
			}
			return nil, errGone
		},
		children: func(pid int) (map[int]bool, error) {
			all := make(map[int]bool)
			for _, p := range f.procs {
				if p.parent == pid {
					all[p.pid] = true
				}
			}
			return all, nil
		},
		open: func(pid int) (int, error) {
			p, err := find("open", pid)
			if f.noPidfd != nil {
				return 0, f.noPidfd
			}
			if err != nil {
				return 0, unix.ESRCH
			}
			fd := 0 // which is valid: podsignal may run without a standard input
			for f.pidfds[fd] != nil {
				fd++
			}
			f.pidfds[fd] = p
			return fd, nil
		},
		close: func(fd int) error {
			if f.pidfds[fd] == nil || f.watched[fd] {
				f.t.Errorf("close(%d), which is not open, or watched", fd)
				return unix.EBADF
			}
			delete(f.pidfds, fd)
			return nil
		},
		send: func(fd int, sig syscall.Signal) error {
			p := f.pidfds[fd]
			switch {
			case p == nil:
				f.t.Errorf("send(%d), which is not open", fd)
				return unix.EBADF
			case f.procs[p.pid] != p:
				return unix.ESRCH
			}
			f.calls = append(f.calls, fmt.Sprint("send ", p.pid))
			return signal(p, sig)
		},
		kill: func(pid int, sig syscall.Signal) error {
			p, err := find("kill", pid)
			if err != nil {
				return unix.ESRCH
			}
			return signal(p, sig)
		},
		watchEnds: f.watchEnds,
		now:       func() time.Duration { return f.now },
		executable: func(pid int) string {
			if p, ok := f.procs[pid]; ok {
				return p.executable
			}
			return ""
		},
		isLink: func(path string) bool { return f.links[path] },
	}
}

func (f *fake) watchEnds(ended func()) (endWatch, error) {
	if f.noEnds != nil {
		return endWatch{}, f.noEnds
	}
	if f.ended != nil {
		f.t.Error("ends are watched twice")
	}
	f.ended = ended
	change := func(fd int, to bool) error {
		if f.pidfds[fd] == nil || f.watched[fd] == to {
			f.t.Errorf("watched(%d) becomes %t, again or of nothing", fd, to)
			return unix.EINVAL
		}
		f.watched[fd] = to
		return nil
	}
	return endWatch{
		add:    func(fd int) error { return change(fd, true) },
		remove: func(fd int) error { return change(fd, false) },
		close:  func() error { f.ended = nil; return nil },
	}, nil
}

// end ends a process.
func (f *fake) end(pid int) {
	for fd, p := range f.pidfds {
		if p == f.procs[pid] && f.watched[fd] {
			f.ended()
		}
	}
	delete(f.procs, pid)
}

func (p *proc) stat() stat {
	st := stat{p.comm, max(p.state, 'S'), p.parent, p.session, 1 + len(p.others), p.started}
	if p.firstEnded {
		st.state, st.threads = 'Z', st.threads+1
	}
	return st
}

func (p *proc) status() status {
	return status{
		comm: p.comm, state: max(p.state, 'S'),
		uid: p.uid, savedUID: p.savedUID, innermost: p.innermost,
		blocked: p.blocked, ignored: p.ignored, catch: p.caught,
	}
}

// found returns what Find finds; none is no failure.
func found(t *testing.T, finder *Finder) []*Target {
	t.Helper()
	targets, err := finder.Find(t.Context())
	if (len(targets) == 0) != errors.Is(err, ErrNoTarget) || len(targets) > 0 && err != nil {
		t.Fatalf("Find: %d targets and the error %v", len(targets), err)
	}
	return targets
}

// foundPIDs returns the pids of what Find finds.
func foundPIDs(t *testing.T, finder *Finder) []int {
	t.Helper()
	var pids []int
	for _, target := range found(t, finder) {
		pids = append(pids, target.PID)
	}
	return pids
}

// only returns the one target that there must be.
func only(t *testing.T, finder *Finder) *Target {
	t.Helper()
	targets := found(t, finder)
	if len(targets) != 1 {
		t.Fatalf("%d targets, want 1", len(targets))
	}
	return targets[0]
}
