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

// ErrNoTarget is wrapped by Find's error when there is nothing to signal. The rest of that
// error says why, and how to fix it.
var ErrNoTarget = errors.New("no matching process")

// Options says which processes are targets and how to treat them.
type Options struct {
	Name    string         // of the process, in full
	Cmdline *regexp.Regexp // must match the whole command line too; nil: any
	Signal  syscall.Signal // to be sent; zero: none, as targets are notified otherwise
	Files   []string       // that are watched: a target has to share their mounts
	Grace   time.Duration  // minimum age before a signal
	Log     *slog.Logger
}

// A Finder finds targets, and remembers them and their workers. It is not safe for
// concurrent use.
type Finder struct {
	opts    Options
	sys     *system
	targets map[identity]*Target
	kin     map[identity]*kin // of live matches and their parents
	noPidfd bool              // that this is so has been logged

	known    map[int]known // the processes of the last search, by pid
	listed   []listed      // their list, for its memory
	searches uint64
	ours     []procfs.Mount // on which the files lie, for a target to share
	required bool           // a target must share ours

	ended chan struct{} // nil: ends are not watched
	ends  *endWatch     // nil: there are no targets
}

// identity distinguishes a process from a later one with the same pid.
type identity struct {
	pid     int
	started time.Duration
}

// NewFinder returns a Finder that has not searched yet.
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

// candidate is a process that may be a target.
type candidate struct {
	pid int
	stat
}

func (c candidate) identity() identity { return identity{c.pid, c.started} }

// Find returns the targets, oldest first. The error wraps ErrNoTarget if there are none;
// any other comes from reading /proc, or is that of ctx.
func (f *Finder) Find(ctx context.Context) ([]*Target, error) { return f.find(ctx, everything) }

// FindNew is a cheaper Find, for a search soon after another one. Of a process that an
// earlier search has seen it reads only the name. One that has a new name (by an exec), or is
// younger than a minute and twice as old as when it was last read, is read in full. It misses
// a title that an older process gives itself, and a new mount.
func (f *Finder) FindNew(ctx context.Context) ([]*Target, error) { return f.find(ctx, namesToo) }

// FindStarted is the cheapest: it reads only processes that have started since the last
// search, besides the targets and their relatives. It misses new names.
func (f *Finder) FindStarted(ctx context.Context) ([]*Target, error) { return f.find(ctx, startedOnly) }

func (f *Finder) find(ctx context.Context, d depth) ([]*Target, error) {
	found, err := f.search(ctx, d)
	if err != nil {
		return nil, err
	}
	targets, err := f.adopt(found.sharing)
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
