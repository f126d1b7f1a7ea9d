package signal

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// near finds the processes that may be meant: there is none of the name.
func (f *Finder) near(ctx context.Context) ([]Near, error) {
	pids, err := f.sys.pids(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var all []Near
	for _, pid := range pids {
		st, err := f.sys.stat(int(pid))
		if err != nil || int(pid) == f.sys.self || st.ended() {
			continue
		}
		args, err := f.sys.cmdline(ctx, int(pid))
		if err != nil {
			continue
		}
		name, why := nearName(f.opts.Name, st.comm, args)
		same := func(n Near) bool { return n.Name == name && n.Why == why }
		if why != "" && !slices.ContainsFunc(all, same) {
			all = append(all, Near{int(pid), name, why})
		}
	}
	slices.SortFunc(all, func(a, b Near) int { return cmp.Compare(a.PID, b.PID) })
	return all, nil
}

// nearName tells whether a process of another name may be meant, why, and how it
// would have to be called.
func nearName(want, comm string, args []string) (name, why string) {
	name = fullName(comm, args)
	title := titleName(args)
	for _, is := range []string{name, title} {
		switch {
		case is == "" || is == ".":
			continue
		case is == want:
			return is, "its command line does not match CMDLINE"
		case strings.EqualFold(is, want):
			return is, "another case"
		case strings.HasPrefix(is, want):
			return is, "it begins so"
		case strings.HasPrefix(want, is) && len(is) > 2:
			return is, "PROCESS begins so"
		case oneEdit(is, want):
			return is, "one letter away"
		case strings.Contains(is, want):
			return is, "PROCESS is part of it"
		}
	}
	if len(args) > 0 && strings.Contains(args[0], want) {
		return name, "PROCESS is part of its command"
	}
	for _, arg := range args[min(1, len(args)):min(3, len(args))] {
		if filepath.Base(arg) == want {
			return name, "it runs " + want + ": set CMDLINE to that"
		}
	}
	return "", ""
}

// oneEdit tells whether one byte more, less or other, or two exchanged, make b of a.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || len(b) < 3 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return i < len(a) && (a[i+1:] == b[i+1:] ||
		i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:])
}
