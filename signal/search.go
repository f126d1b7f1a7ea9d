package signal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"strings"
)

// search is what one search through all processes has found.
type search struct {
	visible int  // processes, podsignal's own among them
	alone   bool // all of them seem to be podsignal's own
	matches map[int]candidate
	roots   []candidate // of the matches, oldest first
	sharing []candidate // the roots that mount what the files lie on
}

// search lists all processes, and reads those of which the last search has not told enough.
func (f *Finder) search(ctx context.Context, d depth) (search, error) {
	var err error
	if f.listed, err = f.sys.list(f.listed[:0]); err != nil {
		return search{}, fmt.Errorf("listing processes: %w", err)
	}
	found := search{visible: len(f.listed), matches: make(map[int]candidate)}
	f.searches++
	followed := f.followed()
	for _, p := range f.listed {
		if err := ctx.Err(); err != nil {
			return search{}, err
		}
		if !followed[p.pid] && f.asBefore(p, d) {
			continue
		}
		st, err := f.read(p, d)
		if hidden(err) {
			continue
		}
		if err != nil {
			return search{}, err
		}
		if k := f.known[p.pid]; k.match && !k.ended {
			found.matches[p.pid] = candidate{p.pid, st}
		}
	}
	maps.DeleteFunc(f.known, func(_ int, k known) bool { return k.seen != f.searches })
	if d != everything {
		if err := f.readAncestors(found.matches); err != nil {
			return search{}, err
		}
	}
	maps.DeleteFunc(found.matches, func(pid int, _ candidate) bool { return f.descends(pid) })
	found.alone = f.sys.self == 1 || found.visible <= 1 || f.besidePodsignal()
	f.relate(found.matches)
	found.roots = f.roots(found.matches)
	found.sharing, err = f.mounting(found.roots, d == everything)
	return found, err
}

// descends reports whether a process was started by podsignal: its program may be the one that
// is to be signalled, run to validate a configuration. To PID 1 come orphans of every container,
// but not in its session.
func (f *Finder) descends(pid int) bool {
	self := f.sys.self
	if self == 1 && f.known[pid].session != f.known[self].session {
		return false
	}
	for range len(f.known) { // they were read one after the other, and may be in a circle
		pid = int(f.known[pid].parent)
		if pid <= 0 || pid == self {
			break
		}
	}
	return pid > 0 && pid == self
}

// besidePodsignal reports whether PID 1 is another podsignal, in whose container this one was
// started by an exec.
func (f *Finder) besidePodsignal() bool {
	first := f.known[1].comm
	return first != "" && first == f.known[f.sys.self].comm
}

// matches reports whether a process has the name PROCESS, and whether its command line
// matches too. It reads the command line only if needed.
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
		return false, false, err // which says nothing about the process
	}
	named = isNamed(f.opts.Name, st.comm, args)
	return named, named && matchesAll(f.opts.Cmdline, args), nil
}

// matchesAll reports whether a whole command line matches a pattern; nil matches any.
func matchesAll(pattern *regexp.Regexp, args []string) bool {
	return pattern == nil || pattern.MatchString(strings.Join(args, " "))
}

// hidden reports whether an error says that a process has ended or is hidden from podsignal
// (hidepid, proc(5)).
func hidden(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, fs.ErrPermission)
}
