package signal

import (
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A fake is an operating system with only the processes of a test. To have something happen
// between two calls, a test wraps a function of sys.
type fake struct {
	t        *testing.T
	sys      *system
	now      time.Duration // since boot
	procs    map[int]*proc
	ours     []procfs.Mount  // what podsignal mounts
	links    map[string]bool // paths that are symlinks
	noPidfd  error           // what pidfd_open(2) fails with
	denied   error           // what sending fails with
	noInodes bool            // the list of processes lacks them
	mayKill  bool            // we have the capability KILL
	pidfds   map[int]*proc   // open ones, and the process of each
	noEnds   error           // what watching pidfds fails with
	ended    func()          // called when a watched process ends; nil: none is watched
	watched  map[int]bool    // pidfds
	calls    []string        // about single processes, in order
}

// proc is a process of a fake: it sleeps unless it has a state.
type proc struct {
	pid, parent, session     int
	comm                     string
	args                     []string
	started                  time.Duration
	state                    byte
	firstEnded               bool // its first thread has ended, others live
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

// finder returns a Finder for nginx, unless opts has another name.
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

// survey returns what Look returns.
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

// nginx returns a master that catches HUP and started long ago.
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

// inode is that of /proc/PID, which no two processes share.
func (p *proc) inode() uint64 { return uint64(p.started)<<22 | uint64(p.pid) }

func (p *proc) status() status {
	return status{
		comm: p.comm, state: max(p.state, 'S'),
		uid: p.uid, savedUID: p.savedUID, innermost: p.innermost,
		blocked: p.blocked, ignored: p.ignored, catch: p.caught,
	}
}

// found returns what Find finds, which may be nothing.
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

// only returns the one target, and fails if there is another number of them.
func only(t *testing.T, finder *Finder) *Target {
	t.Helper()
	targets := found(t, finder)
	if len(targets) != 1 {
		t.Fatalf("%d targets, want 1", len(targets))
	}
	return targets[0]
}
