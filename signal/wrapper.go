package signal

import (
	"fmt"
	"slices"
	"syscall"
)

// A catcher is a process that catches the signal where a target does not: the program
// itself, behind a wrapper such as an entry point or an init.
type catcher struct {
	identity
	comm string
	text string // what to do about it
}

// behind says which descendant of the target catches the signal; empty: none does. It goes
// by the last look at all processes.
func (t *Target) behind(sig syscall.Signal) string {
	f := t.finder
	children := make(map[int][]int)
	for pid, k := range f.known {
		children[int(k.parent)] = append(children[int(k.parent)], pid)
	}
	relation := "child"
	for pids := children[t.PID]; pids != nil; relation = "descendant" {
		slices.Sort(pids)
		var next []int
		for _, pid := range pids {
			k := f.known[pid]
			st, err := f.sys.status(pid)
			if err == nil && !k.match && !k.ended && pid != f.sys.self && st.catches(sig) {
				return t.sayBehind(pid, relation, sig)
			}
			next = append(next, children[pid]...)
		}
		pids = next
	}
	return ""
}

// sayBehind reads all command lines for the name of the process, and so does it once.
func (t *Target) sayBehind(pid int, relation string, sig syscall.Signal) string {
	f := t.finder
	k := f.known[pid]
	id := identity{pid, k.started}
	if t.catcher.identity == id && t.catcher.comm == k.comm {
		return t.catcher.text
	}
	all := f.suspects()
	i := slices.IndexFunc(all, func(s suspect) bool { return s.pid == pid })
	if i < 0 {
		return "" // it has ended
	}
	a, ok := f.advise(all[i], all, false)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("its %s %s (pid %d) catches %s: set %s", relation, a.process, pid, Name(sig), a)
	t.catcher = catcher{id, k.comm, text}
	return text
}
