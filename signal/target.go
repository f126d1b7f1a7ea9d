package signal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// ErrNoTarget is wrapped by Find's error when nothing is to be signalled; the rest
// of that error says why, and what would mend it.
var ErrNoTarget = errors.New("no target")

// Options say which processes are meant and how carefully to treat them.
type Options struct {
	Name    string         // of the process; a whole name, never a part
	Cmdline *regexp.Regexp // that the whole command line must match too; nil: any
	Signal  syscall.Signal // that it is about; zero: none, as targets are told otherwise
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
	kin     map[identity]*kin // of the matches, and of parents of theirs, that live
	noPidfd bool              // has been said

	known    map[int]known // the processes of the last look, by pid
	looks    uint64
	ours     []procfs.Mount // of ours that the files lie on, for a target to share
	required bool           // it has to

	ended chan struct{} // nil: nobody wants to know
	ends  *endWatch     // of the targets; nil: of none
}

// known is what is remembered of a process from one look to the next.
type known struct {
	comm            string
	started         time.Duration
	look            uint64 // the last at which it was there
	parent, session int32
	ended           bool // it is a zombie
	named           bool // as was asked for
	match           bool // and with such a command line
	sharing         sharing
}

// sharing tells whether a process mounts what the files lie on.
type sharing byte

const (
	unread sharing = iota
	shares
	sharesNot
)

// settled is the age from which on a process is expected to have the title that it keeps.
const settled = time.Minute

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
		kin:     make(map[identity]*kin),
		known:   make(map[int]known),
		ended:   make(chan struct{}, 1),
	}
}

// A Target is a process to be signalled: the root of a tree of processes of the
// name. The same process is the same Target at every Find, also if it executes another
// program, or itself anew, and loses its title for a moment by that. In that time it is
// not ready for a signal.
type Target struct {
	PID     int
	Name    string
	Started time.Duration // since boot (CLOCK_BOOTTIME), in steps of 10 ms

	finder  *Finder
	kin     *kin
	comm    string
	pidfd   int // -1: there are none
	watched bool
	since   time.Duration
	caught  bool          // it has been seen to catch the signal
	blocked time.Duration // since boot; since when it blocks the signal; 0: it does not
	catcher catcher       // the last that was told to be behind it
	astray  time.Duration // since boot; since when it goes by another name; 0: it does not
	pass    pass          // the last, until it is used
}

// Age is how long ago the process started.
func (t *Target) Age() time.Duration { return procfs.SinceBoot() - t.Started }

// candidate is a process that matches.
type candidate struct {
	pid int
	stat
}

func (c candidate) identity() identity { return identity{c.pid, c.started} }

// Find returns the targets, oldest first. The error wraps ErrNoTarget if there are
// none; any other is /proc's.
func (f *Finder) Find(ctx context.Context) ([]*Target, error) { return f.find(ctx, true) }

// FindNew is Find at less cost, for looks that soon follow another: of a process that
// an earlier look has seen it reads /proc/PID/stat alone. One that is younger than a
// minute, or has another name since (by an exec), is read in full. What is missed is a
// title that an older process gives itself, and a mount.
func (f *Finder) FindNew(ctx context.Context) ([]*Target, error) { return f.find(ctx, false) }

func (f *Finder) find(ctx context.Context, whole bool) ([]*Target, error) {
	in, err := f.look(ctx, whole)
	if err != nil {
		return nil, err
	}
	targets, err := f.adopt(in.seen)
	if err != nil {
		return nil, err
	}
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

// look looks at all processes. Unless it is to be whole, what is known is not read again.
func (f *Finder) look(ctx context.Context, whole bool) (sight, error) {
	pids, err := f.sys.pids(ctx)
	if err != nil {
		return sight{}, fmt.Errorf("listing processes: %w", err)
	}
	in := sight{inSight: len(pids), matches: make(map[int]candidate)}
	f.looks++
	for _, pid := range pids {
		st, err := f.sys.stat(int(pid))
		if hidden(err) {
			continue
		}
		if err != nil {
			return sight{}, err
		}
		p := candidate{int(pid), st}
		k := f.recall(p, whole)
		if k.look == 0 {
			if k.named, k.match, err = f.matches(p.pid, st); err != nil {
				return sight{}, err
			}
		}
		k.look, k.parent, k.session, k.ended = f.looks, int32(st.parent), int32(st.session), st.ended()
		f.known[p.pid] = k
		if k.match && !k.ended {
			in.matches[p.pid] = p
		}
	}
	maps.DeleteFunc(f.known, func(_ int, k known) bool { return k.look != f.looks })
	// PID 1 may also be the podsignal that this one was started beside, by an exec.
	first, own := f.known[1].comm, f.known[f.sys.self].comm
	in.alone = f.sys.self == 1 || in.inSight <= 1 || first != "" && first == own
	f.relate(in.matches)
	in.roots = f.roots(in.matches)
	in.seen, err = f.mounting(in.roots, whole)
	return in, err
}

// recall is what is known of a process, or what it has to be known by if it is to be
// read.
func (f *Finder) recall(p candidate, whole bool) known {
	k, ok := f.known[p.pid]
	same := ok && k.started == p.started && k.comm == p.comm
	if same && !whole && f.sys.now()-p.started >= settled {
		return k
	}
	if same {
		p.comm = k.comm // one copy is enough
	}
	return known{comm: p.comm, started: p.started}
}

// hidden tells whether an error says that a process has ended, or is hidden from us
// (hidepid, proc(5)).
func hidden(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, fs.ErrPermission)
}

// matches tells whether a process has the name, and is one of those meant. The command
// line is read only if it takes that.
func (f *Finder) matches(pid int, st stat) (named, match bool, err error) {
	if pid <= 0 || pid == f.sys.self || st.ended() {
		return false, false, nil
	}
	if st.comm == f.opts.Name && len(st.comm) < nameLimit && f.opts.Cmdline == nil {
		return true, true, nil
	}
	args, err := f.sys.cmdline(pid)
	if hidden(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err // which says nothing of the process
	}
	named = isNamed(f.opts.Name, st.comm, args)
	return named, named && (f.opts.Cmdline == nil || f.opts.Cmdline.MatchString(strings.Join(args, " "))), nil
}

func byAge(processes []candidate) {
	slices.SortFunc(processes, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.started, b.started), cmp.Compare(a.pid, b.pid))
	})
}

// mounting are the roots that mount what the files lie on. For a kubelet volume
// that is a condition, for anything else it only decides between several.
func (f *Finder) mounting(roots []candidate, whole bool) ([]candidate, error) {
	if len(roots) == 0 {
		return nil, nil
	}
	if whole || f.ours == nil {
		var err error
		if f.ours, f.required, err = f.sys.shared(f.opts.Files); err != nil {
			return nil, err
		}
	}
	if !f.required && len(roots) == 1 {
		return roots, nil
	}
	var seen []candidate
	for _, p := range roots {
		k := f.known[p.pid]
		if k.sharing == unread {
			theirs, err := f.sys.sharedBy(p.pid, f.ours)
			k.sharing = sharesNot
			if err != nil || len(theirs) > 0 { // what cannot be seen is not held against it
				k.sharing = shares
			}
			f.known[p.pid] = k
		}
		if k.sharing == shares {
			seen = append(seen, p)
		}
	}
	if len(seen) == 0 && !f.required {
		return roots, nil
	}
	return seen, nil
}

// adopt turns roots into targets, the known ones into those they were, and lets go
// of all others. After an error the targets are those that they were.
func (f *Finder) adopt(roots []candidate) ([]*Target, error) {
	adopted := make(map[identity]*Target, len(roots))
	var targets []*Target
	for _, p := range roots {
		t := f.targets[p.identity()]
		if t == nil {
			var err error
			if t, err = f.newTarget(p); err != nil {
				f.letGoBut(adopted, f.targets)
				return nil, err
			}
		} else {
			t.goesBy(p.comm)
		}
		if t != nil {
			adopted[p.identity()] = t
			targets = append(targets, t)
		}
	}
	for id, t := range f.targets {
		k, there := f.known[id.pid]
		lives := there && k.started == id.started && !k.ended
		if lives && !k.match && t.isAstray() {
			adopted[id] = t
			targets = append(targets, t)
		}
	}
	slices.SortFunc(targets, func(a, b *Target) int {
		return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.PID, b.PID))
	})
	f.letGoBut(f.targets, adopted)
	f.targets = adopted
	for _, t := range targets {
		f.watch(t)
	}
	if len(targets) == 0 {
		f.rest()
	}
	return targets, nil
}

// goesBy notes the name that the process has by now. If it is another, or had not been
// that of a target in between, another program runs there, of which nothing is known yet.
func (t *Target) goesBy(comm string) {
	if t.comm != comm || t.astray != 0 {
		t.comm, t.astray = comm, 0
		t.since, t.caught, t.blocked = t.finder.sys.now(), false, 0
	}
}

// isAstray tells whether a process that goes by another name may come back to its own:
// Puma, to reload, executes Ruby anew, and has its title again after a second.
func (t *Target) isAstray() bool {
	now := t.finder.sys.now()
	if t.astray == 0 {
		t.astray = now
	}
	return now-t.astray < settled
}

// letGoBut gives back what is held for those of the targets that are not among others.
func (f *Finder) letGoBut(targets, others map[identity]*Target) {
	for key, t := range targets {
		if others[key] == t {
			continue
		}
		if t.watched {
			_ = f.ends.remove(t.pidfd) // or its end would still be told
		}
		if t.pidfd >= 0 {
			_ = f.sys.close(t.pidfd)
		}
	}
}

// newTarget returns nil if the process has ended or changed in the meantime: the
// pidfd is opened first, so that what is read after that is read of its process.
func (f *Finder) newTarget(p candidate) (*Target, error) {
	pidfd, err := f.sys.open(p.pid)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		pidfd = -1
		if !f.noPidfd {
			f.noPidfd = true
			f.opts.Log.Warn("no pidfd can be had: start times are compared right before each signal instead; update the kernel to 5.3 or newer, allow pidfd_open in the seccomp profile, or raise the limit of open files", "err", err)
		}
	}
	st, same, err := f.again(p)
	if !same || err != nil {
		if pidfd >= 0 {
			_ = f.sys.close(pidfd)
		}
		return nil, err
	}
	f.warnOfSubPaths(p.pid)
	return &Target{
		PID: p.pid, Name: f.opts.Name, Started: p.started,
		finder: f, kin: f.kinOf(p.identity()), comm: st.comm, pidfd: pidfd, since: f.sys.now(),
	}, nil
}

// again tells whether a process still is the one that it was, and one of those meant.
func (f *Finder) again(p candidate) (st stat, same bool, err error) {
	st, err = f.sys.stat(p.pid)
	if hidden(err) {
		return st, false, nil
	}
	if err == nil && st.started == p.started {
		_, same, err = f.matches(p.pid, st)
	}
	return st, same, err
}

// why says why there is no target.
func (f *Finder) why(in sight) string {
	switch {
	case len(in.seen) > 0:
		return fmt.Sprintf("%s (pid %d) has just ended", f.opts.Name, in.seen[0].pid)
	case len(in.roots) > 0:
		return fmt.Sprintf("%s (pid %d) does not mount the volume that FILE is in: mount it in that container too, as a folder", f.opts.Name, in.roots[0].pid)
	case len(in.matches) > 0:
		return f.whyWorkers(in)
	case in.alone:
		return `only podsignal's own processes are in sight: set shareProcessNamespace: true on the pod (Compose: pid: "service:NAME")`
	}
	if full, pid := f.cut(); full != "" {
		return fmt.Sprintf("no process is named %q, to which the kernel has cut the name of %s (pid %d): set PROCESS=%s", f.opts.Name, full, pid, full)
	}
	if f.opts.Cmdline != nil {
		return fmt.Sprintf("no process is named %q and has a command line that matches CMDLINE: correct PROCESS or CMDLINE, or start it", f.opts.Name)
	}
	return fmt.Sprintf("no process is named %q: correct PROCESS, or start it", f.opts.Name)
}

// whyWorkers says why all matches are workers.
func (f *Finder) whyWorkers(in sight) string {
	for _, p := range in.matches {
		master := f.kin[p.identity()].parent
		if now := f.known[master.pid]; master.gone || now.named || now.comm != p.comm {
			continue
		}
		text := fmt.Sprintf("%s is the name of workers alone: their parent (pid %d) is the same program under another name", f.opts.Name, master.pid)
		if a, ok := f.adviseOn(master.pid); ok {
			text += fmt.Sprintf(": set %s", a)
		}
		return text
	}
	return fmt.Sprintf("of %s only workers are left, which are not signalled: their master has ended", f.opts.Name)
}
