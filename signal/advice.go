package signal

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// An advice says how to set PROCESS so that a process becomes a target, and CMDLINE where
// others have the same name.
type advice struct {
	process, cmdline string
	unset            bool // CMDLINE is set and has to be unset
}

// String is what to set.
func (a advice) String() string {
	switch {
	case a.cmdline != "":
		return fmt.Sprintf("PROCESS=%s and CMDLINE=%s", a.process, a.cmdline)
	case a.unset:
		return fmt.Sprintf("PROCESS=%s and unset CMDLINE", a.process)
	default:
		return "PROCESS=" + a.process
	}
}

// A suspect is a process that the user may have meant.
type suspect struct {
	pid, parent int
	comm        string
	args        []string
}

// suspects returns all visible processes, sorted by pid.
func (f *Finder) suspects() (all []suspect) {
	processes, _ := f.sys.list(nil)
	for _, p := range processes {
		st, err := f.sys.stat(p.pid)
		if err != nil || p.pid == f.sys.self || st.ended() {
			continue
		}
		if args, err := f.sys.cmdline(p.pid); err == nil {
			all = append(all, suspect{p.pid, st.parent, st.comm, args})
		}
	}
	slices.SortFunc(all, func(a, b suspect) int { return cmp.Compare(a.pid, b.pid) })
	return all
}

// names returns the names of a process that can be a value of PROCESS and are likely to
// last, the best first: no title with a worker's number, a host's name or arguments in it.
// The name of the executed file is better than one that the program gives itself.
func (s suspect) names() (names []string) {
	full := fullName(s.comm, s.args)
	title, word := titleNames(s.args)
	candidates := []string{title, word, full}
	executed := func(arg string) bool { return filepath.Base(arg) == full }
	if slices.ContainsFunc(s.args[:min(3, len(s.args))], executed) {
		candidates = []string{full, title, word}
	}
	for _, name := range candidates {
		if isPlain(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// isPlain reports whether a name is one word of letters, digits and _, with . + - in it.
func isPlain(name string) bool {
	word := func(c rune) bool { return unicode.IsLetter(c) || '0' <= c && c <= '9' || c == '_' }
	rest := strings.TrimLeftFunc(name, word)
	return rest != name && strings.TrimFunc(rest, func(c rune) bool { return word(c) || strings.ContainsRune(".+-", c) }) == ""
}

// chosen returns the pids that a name and a pattern would make targets; a nil pattern
// matches any command line.
func chosen(all []suspect, name string, pattern *regexp.Regexp) (pids []int) {
	byPID := make(map[int]suspect, len(all))
	for _, s := range all {
		byPID[s.pid] = s
	}
	match := func(s suspect) bool {
		return isNamed(name, s.comm, s.args) && matchesAll(pattern, s.args)
	}
	var roots []suspect
	for _, s := range all {
		parent, ok := byPID[s.parent]
		isWorker := ok && match(parent)
		if match(s) && !isWorker {
			roots, pids = append(roots, s), append(pids, s.pid)
		}
	}
	// The same rule as in masterOf.
	ofOne := func(s suspect) bool {
		parent, ok := byPID[s.parent]
		return ok && s.parent == roots[0].parent && s.comm == parent.comm && !isNamed(name, parent.comm, parent.args)
	}
	if !slices.ContainsFunc(roots, func(s suspect) bool { return !ofOne(s) }) {
		return nil
	}
	return pids
}

// advise says how to set PROCESS and CMDLINE to select a process. anyName says that others
// may soon have the same name, as with an interpreter.
func (f *Finder) advise(s suspect, all []suspect, anyName bool) (advice, bool) {
	names := s.names()
	unset := !matchesAll(f.opts.Cmdline, s.args)
	for _, name := range names {
		if !anyName && slices.Equal(chosen(all, name, nil), []int{s.pid}) {
			return advice{process: name, unset: unset}, true
		}
	}
	for _, name := range names {
		for _, word := range s.words(f.opts.Name) {
			pattern := regexp.QuoteMeta(word)
			if slices.Equal(chosen(all, name, regexp.MustCompile(pattern)), []int{s.pid}) {
				return advice{process: name, cmdline: pattern}, true
			}
		}
	}
	for _, name := range names { // several processes may be meant
		if slices.Contains(chosen(all, name, nil), s.pid) {
			return advice{process: name, unset: unset}, true
		}
	}
	return advice{}, false
}

// adviseOn says how to set PROCESS and CMDLINE to select a process, if there is a way.
func (f *Finder) adviseOn(pid int) (advice, bool) {
	all := f.suspects()
	i := slices.IndexFunc(all, func(s suspect) bool { return s.pid == pid })
	if i < 0 {
		return advice{}, false // it has ended
	}
	return f.advise(all[i], all, false)
}

// words returns parts of the command line that may distinguish a process from others, such
// as the name of a script.
func (s suspect) words(want string) (words []string) {
	args := s.args[:min(3, len(s.args))]
	for _, arg := range args {
		if base := filepath.Base(arg); base == want {
			words = append(words, base)
		}
	}
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") && len(arg) > 1 {
			words = append(words, filepath.Base(arg), arg)
		}
	}
	return words
}
