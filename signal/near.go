package signal

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// near finds the processes that may be meant, the likeliest first: there is none
// of the name.
func (f *Finder) near(ctx context.Context) ([]Near, error) {
	pids, err := f.sys.pids(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	slices.Sort(pids)
	var all []Near
	for _, pid := range pids {
		st, err := f.sys.stat(int(pid))
		if err != nil || int(pid) == f.sys.self || st.ended() {
			continue
		}
		args, err := f.sys.cmdline(int(pid))
		if err != nil {
			continue
		}
		n := nearName(f.opts.Name, st.comm, args)
		n.PID = int(pid)
		same := func(other Near) bool { return n.Name == other.Name && n.Why == other.Why }
		if n.Why != "" && !slices.ContainsFunc(all, same) {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b Near) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.PID, b.PID))
	})
	return all, nil
}

// nearName tells whether a process of another name may be meant, why, and how it
// would have to be called.
func nearName(want, comm string, args []string) Near {
	name := fullName(comm, args)
	names := []string{name}
	if title := titleName(args); title != name && title != "." {
		names = append(names, title)
	}
	rules := []struct {
		why  string
		like func(name string) bool
	}{
		{"its command line does not match CMDLINE", func(name string) bool { return name == want }},
		{"another case", func(name string) bool { return strings.EqualFold(name, want) }},
		{"one letter away", func(name string) bool { return OneEdit(name, want) }},
		{"it begins so", func(name string) bool { return strings.HasPrefix(name, want) }},
		{"PROCESS begins so", func(name string) bool { return len(name) > 2 && strings.HasPrefix(want, name) }},
		{"PROCESS is part of it", func(name string) bool { return strings.Contains(name, want) }},
	}
	for rank, rule := range rules {
		if i := slices.IndexFunc(names, rule.like); i >= 0 {
			return Near{Name: names[i], Why: rule.why, rank: rank}
		}
	}
	if len(args) == 0 {
		return Near{}
	}
	if strings.Contains(args[0], want) {
		return Near{Name: name, Why: "PROCESS is part of its command", rank: len(rules)}
	}
	runs := func(arg string) bool { return filepath.Base(arg) == want }
	if slices.ContainsFunc(args[1:min(3, len(args))], runs) {
		return Near{Name: name, Why: "it runs " + want + ": tell it apart by CMDLINE", rank: len(rules) + 1}
	}
	return Near{}
}

// OneEdit tells whether one byte more, less or other, or two exchanged, make b of a.
func OneEdit(a, b string) bool {
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
