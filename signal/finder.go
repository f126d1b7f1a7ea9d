package signal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/podsignal/podsignal/signal/procfs"
)

// ErrNoTarget is wrapped by Find's error when nothing is to be signalled; the rest
// of that error says why, and what would mend it.
var ErrNoTarget = errors.New("no matching process")

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
	noPidfd bool              // has been logged

	known    map[int]known // the processes of the last look, by pid
	looks    uint64
	ours     []procfs.Mount // of ours that the files lie on, for a target to share
	required bool           // it has to

	ended chan struct{} // nil: nobody wants to know
	ends  *endWatch     // of the targets; nil: of none
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
		kin:     make(map[identity]*kin),
		known:   make(map[int]known),
		ended:   make(chan struct{}, 1),
	}
}

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
	found, err := f.look(ctx, whole)
	if err != nil {
		return nil, err
	}
	targets, err := f.adopt(found.seen)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoTarget, f.why(found))
	}
	return targets, nil
}

func byAge(processes []candidate) {
	slices.SortFunc(processes, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.started, b.started), cmp.Compare(a.pid, b.pid))
	})
}
