package signal

import (
	"cmp"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// adopt turns roots into targets and releases the targets that are no longer among them. A
// root that is known keeps its Target. After an error the targets are unchanged.
func (f *Finder) adopt(roots []candidate) ([]*Target, error) {
	adopted := make(map[identity]*Target, len(roots))
	var targets []*Target
	for _, p := range roots {
		t := f.targets[p.identity()]
		if t == nil {
			var err error
			if t, err = f.newTarget(p); err != nil {
				f.release(adopted, f.targets)
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
	f.release(f.targets, adopted)
	f.targets = adopted
	for _, t := range targets {
		f.watch(t)
	}
	if len(targets) == 0 {
		f.stopWatching()
	}
	return targets, nil
}

// newTarget returns nil if the process has ended or changed in the meantime. The pidfd is
// opened first, so whatever is read afterwards belongs to its process.
func (f *Finder) newTarget(p candidate) (*Target, error) {
	pidfd, err := f.sys.open(p.pid)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		pidfd = -1
		if !f.noPidfd {
			f.noPidfd = true
			f.opts.Log.Warn("pidfd unavailable, comparing start times before each signal instead: update the kernel to 5.3 or newer, allow pidfd_open in the seccomp profile, or raise the limit of open files", "err", err)
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
		finder: f, kin: f.kinOf(p.identity()), pidfd: pidfd,
		running: running{comm: st.comm, since: f.sys.now()},
	}, nil
}

// again reports whether a process is still the same one and still matches.
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

// release closes what is held for the targets that are not among others. Whoever still has
// such a target must not reach what has its descriptor next.
func (f *Finder) release(targets, others map[identity]*Target) {
	for key, t := range targets {
		if others[key] == t {
			continue
		}
		if t.watched {
			_ = f.ends.remove(t.pidfd) // or its end would still be reported
		}
		if t.pidfd >= 0 {
			_ = f.sys.close(t.pidfd)
		}
		t.pidfd, t.watched = -1, false
	}
}
