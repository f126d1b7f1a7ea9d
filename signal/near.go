package signal

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// near finds the processes that the user may have meant, the likeliest first, when none has
// the name. What a Near names would make its process a target.
func (f *Finder) near() []Near {
	all := f.suspects()
	var found []Near
	for _, s := range all {
		if n, ok := f.likeness(s, all); ok {
			same := func(other Near) bool {
				return n.Name == other.Name && n.Cmdline == other.Cmdline && n.Why == other.Why
			}
			if !slices.ContainsFunc(found, same) {
				found = append(found, n)
			}
		}
	}
	slices.SortFunc(found, func(a, b Near) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.PID, b.PID))
	})
	return found
}

// likenesses lists how a name can resemble PROCESS, the likeliest first.
var likenesses = []struct {
	why string
	is  func(name, want string) bool
}{
	{"its command line does not match CMDLINE", func(name, want string) bool { return name == want }},
	{"it differs in case", strings.EqualFold},
	{"it differs by one letter", OneEdit},
	{"it begins with PROCESS", strings.HasPrefix},
	{"PROCESS begins with it", func(name, want string) bool { return len(name) > 2 && strings.HasPrefix(want, name) }},
	{"it contains PROCESS", strings.Contains},
}

// likeness reports whether a process with another name may be meant, why, and how to set
// PROCESS and CMDLINE to select it.
func (f *Finder) likeness(s suspect, all []suspect) (Near, bool) {
	want := f.opts.Name
	for rank, like := range likenesses {
		for _, name := range s.names() {
			pattern := f.opts.Cmdline
			if name == want {
				if pattern == nil {
					return Near{}, false // it appeared after the search
				}
				pattern = nil // CMDLINE is what is wrong
			}
			if like.is(name, want) && slices.Contains(chosen(all, name, pattern), s.pid) {
				return Near{PID: s.pid, Name: name, Why: like.why, rank: rank}, true
			}
		}
	}
	why, rank, interpreter := "", len(likenesses), false
	runs := func(arg string) bool { return filepath.Base(arg) == want }
	switch {
	case len(s.args) == 0:
		return Near{}, false
	case strings.Contains(s.args[0], want):
		why = "its command contains PROCESS"
	case slices.ContainsFunc(s.args[1:min(3, len(s.args))], runs):
		why, rank, interpreter = "it runs "+want, rank+1, true
	case strings.HasPrefix(f.sys.executable(s.pid), want):
		why, rank = want+" runs it", rank+2
	default:
		return Near{}, false
	}
	a, ok := f.advise(s, all, interpreter)
	return Near{PID: s.pid, Name: a.process, Cmdline: a.cmdline, Why: why, rank: rank}, ok
}

// cut finds the process whose name the kernel has cut to PROCESS; full is empty if there is
// none.
func (f *Finder) cut() (full string, pid int) {
	if len(f.opts.Name) != nameLimit {
		return "", 0
	}
	all := f.suspects()
	for _, s := range all {
		full := fullName(s.comm, s.args)
		if s.comm == f.opts.Name && full != s.comm && slices.Contains(chosen(all, full, nil), s.pid) {
			return full, s.pid
		}
	}
	return "", 0
}

// OneEdit reports whether inserting, removing or replacing one byte, or exchanging two
// neighbours, turns a into b. Names of fewer than three bytes are too short to compare.
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
	if i == len(a) {
		return false // they are equal
	}
	replaced := a[i+1:] == b[i+1:]
	exchanged := i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	return replaced || exchanged
}
