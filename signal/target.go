package signal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoTarget is wrapped by Find's error when nothing is to be signalled; the rest
// of that error says why, and what would mend it.
var ErrNoTarget = errors.New("no target")

// nameLimit is how many bytes of a process's name the kernel keeps
// (TASK_COMM_LEN less the final zero, proc_pid_comm(5)).
const nameLimit = 15

// Options say which processes are meant and how carefully to treat them.
type Options struct {
	Name    string         // of the process; a whole name, never a part
	Cmdline *regexp.Regexp // that the whole command line must match too; nil: any
	Files   []string       // what the target must be able to see: it has to share their mounts
	Grace   time.Duration  // least age before a signal
	Log     *slog.Logger
}

// A Finder finds targets, and remembers them and their workers. It is not for use
// by several goroutines at once.
type Finder struct {
	opts    Options
	sys     *system
	targets map[identity]*Target
	workers map[identity]bool
	noPidfd bool // has been said
}

// identity tells a process from a later one with the same pid.
type identity struct {
	pid     int
	started time.Duration
}

// NewFinder returns a Finder that has not looked yet.
func NewFinder(opts Options) *Finder {
	return &Finder{
		opts:    opts,
		sys:     newSystem(),
		targets: make(map[identity]*Target),
		workers: make(map[identity]bool),
	}
}

// A Target is a process to be signalled: the root of a tree of processes of the
// name. The same process is the same Target at every Find.
type Target struct {
	PID     int
	Name    string
	Started time.Duration // since boot (CLOCK_BOOTTIME), in steps of 10 ms

	finder  *Finder
	comm    string
	pidfd   int // -1: there are none
	since   time.Duration
	caught  bool          // it has been seen to catch the signal
	blocked time.Duration // since boot; since when it blocks the signal; 0: it does not
}

// Age is how long ago the process started.
func (t *Target) Age() time.Duration { return boottime() - t.Started }

// candidate is a process that matches.
type candidate struct {
	pid int
	stat
}

func (c candidate) identity() identity { return identity{c.pid, c.started} }

// Find returns the targets, oldest first. The error wraps ErrNoTarget if there are
// none; any other is /proc's.
func (f *Finder) Find(ctx context.Context) ([]*Target, error) {
	in, err := f.look(ctx)
	if err != nil {
		return nil, err
	}
	targets := f.adopt(in.seen)
	if len(targets) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoTarget, f.why(in))
	}
	return targets, nil
}

// sight is what one look at all processes has shown.
type sight struct {
	inSight int  // processes, podsignal's own among them
	alone   bool // all of them seem to be podsignal's own
	matches map[int]candidate
	roots   []candidate // of the matches, oldest first
	seen    []candidate // those of the roots that mount what the files lie on
}

func (f *Finder) look(ctx context.Context) (sight, error) {
	pids, err := f.sys.pids(ctx)
	if err != nil {
		return sight{}, fmt.Errorf("listing processes: %w", err)
	}
	in := sight{inSight: len(pids), matches: make(map[int]candidate)}
	var own, first string              // names: ours, and that of PID 1
	workers := make(map[identity]bool) // those known that are still there
	for _, pid := range pids {
		st, err := f.sys.stat(int(pid))
		if errors.Is(err, errGone) || errors.Is(err, fs.ErrPermission) {
			continue // ended, or hidden from us (hidepid, proc(5))
		}
		if err != nil {
			return sight{}, err
		}
		p := candidate{int(pid), st}
		if f.workers[p.identity()] {
			workers[p.identity()] = true
		}
		if p.pid == f.sys.self {
			own = st.comm
		}
		if p.pid == 1 {
			first = st.comm
		}
		if f.matches(p.pid, st) {
			in.matches[p.pid] = p
		}
	}
	// PID 1 may also be the podsignal that this one was started beside, by an exec.
	in.alone = f.sys.self == 1 || in.inSight <= 1 || first != "" && first == own
	f.workers = workers
	in.roots = f.roots(in.matches)
	in.seen, err = f.mounting(in.roots)
	return in, err
}

// matches tells whether a process is one of those meant. The command line is read
// only if it takes that.
func (f *Finder) matches(pid int, st stat) bool {
	if pid <= 0 || pid == f.sys.self || st.ended() {
		return false
	}
	if st.comm == f.opts.Name && len(st.comm) < nameLimit && f.opts.Cmdline == nil {
		return true
	}
	args, err := f.sys.cmdline(pid)
	if err != nil {
		return false // it has ended
	}
	if f.opts.Name != fullName(st.comm, args) && f.opts.Name != titleName(args) {
		return false
	}
	return f.opts.Cmdline == nil || f.opts.Cmdline.MatchString(strings.Join(args, " "))
}

// fullName undoes the kernel's cut of long names. The whole name is the base name
// of what was executed: argv[0], or for a script an argument soon after its
// interpreter.
func fullName(comm string, args []string) string {
	if len(comm) < nameLimit {
		return comm
	}
	for _, arg := range args[:min(len(args), 3)] {
		if base := filepath.Base(arg); strings.HasPrefix(base, comm) {
			return base
		}
	}
	return comm
}

// titleName is the base name of argv[0], or of the name in front of a title that
// the program has put there, as in `nginx: master process`.
func titleName(args []string) string {
	if len(args) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(args[0], ": ")
	return filepath.Base(name)
}

// roots are the matches whose parent is none. The others are workers, and stay so
// for life: orphaned by their master's end they must not be taken for it.
func (f *Finder) roots(matches map[int]candidate) []candidate {
	var roots []candidate
	for _, p := range matches {
		if _, ok := matches[p.parent]; ok {
			f.workers[p.identity()] = true
		}
		if !f.workers[p.identity()] {
			roots = append(roots, p)
		}
	}
	slices.SortFunc(roots, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.started, b.started), cmp.Compare(a.pid, b.pid))
	})
	return roots
}

// mounting are the roots that mount what the files lie on. For a kubelet volume
// that is a condition, for anything else it only decides between several.
func (f *Finder) mounting(roots []candidate) ([]candidate, error) {
	if len(roots) == 0 {
		return nil, nil
	}
	ours, required, err := f.sys.shared(f.opts.Files)
	if err != nil {
		return nil, err
	}
	if !required && len(roots) == 1 {
		return roots, nil
	}
	var seen []candidate
	for _, p := range roots {
		theirs, err := f.sys.sharedBy(p.pid, ours)
		if err != nil || len(theirs) > 0 { // what cannot be seen is not held against it
			seen = append(seen, p)
		}
	}
	if len(seen) == 0 && !required {
		return roots, nil
	}
	return seen, nil
}

// adopt turns roots into targets, the known ones into those they were, and lets go
// of all others.
func (f *Finder) adopt(roots []candidate) []*Target {
	adopted := make(map[identity]*Target, len(roots))
	var targets []*Target
	for _, p := range roots {
		t := f.targets[p.identity()]
		if t == nil || t.comm != p.comm {
			t = f.newTarget(p)
		}
		if t != nil {
			adopted[p.identity()] = t
			targets = append(targets, t)
		}
	}
	for key, t := range f.targets {
		if adopted[key] != t && t.pidfd >= 0 {
			_ = f.sys.close(t.pidfd)
		}
	}
	f.targets = adopted
	return targets
}

// newTarget returns nil if the process has ended or changed in the meantime: the
// pidfd is opened first, so that what is read after that is read of its process.
func (f *Finder) newTarget(p candidate) *Target {
	pidfd, err := f.sys.open(p.pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		pidfd = -1
		if !f.noPidfd {
			f.noPidfd = true
			f.opts.Log.Warn("no pidfd can be had: start times are compared right before each signal instead; update the kernel to 5.3 or newer, allow pidfd_open in the seccomp profile, or raise the limit of open files", "err", err)
		}
	}
	st, err := f.sys.stat(p.pid)
	if err == nil && st.started == p.started && f.matches(p.pid, st) {
		f.warnOfSubPaths(p.pid)
		return &Target{
			PID: p.pid, Name: f.opts.Name, Started: p.started,
			finder: f, comm: st.comm, pidfd: pidfd, since: f.sys.now(),
		}
	}
	if pidfd >= 0 {
		_ = f.sys.close(pidfd)
	}
	return nil
}

// why says why there is no target.
func (f *Finder) why(in sight) string {
	switch {
	case len(in.seen) > 0:
		return fmt.Sprintf("%s (pid %d) has just ended", f.opts.Name, in.seen[0].pid)
	case len(in.roots) > 0:
		return fmt.Sprintf("%s (pid %d) does not mount the volume that FILE is in: mount it in that container too, as a folder", f.opts.Name, in.roots[0].pid)
	case len(in.matches) > 0:
		return fmt.Sprintf("of %s only workers are left, which are not signalled: their master has ended", f.opts.Name)
	case in.alone:
		return `only podsignal's own processes are in sight: set shareProcessNamespace: true on the pod (Compose: pid: "service:NAME")`
	case f.opts.Cmdline != nil:
		return fmt.Sprintf("no process is named %q and has a command line that matches CMDLINE: correct PROCESS or CMDLINE, or start it", f.opts.Name)
	default:
		return fmt.Sprintf("no process is named %q: correct PROCESS, or start it", f.opts.Name)
	}
}
