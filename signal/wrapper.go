package signal

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
)

// A catcher is a descendant that catches a signal which its target does not: the program
// itself, behind a wrapper such as an entrypoint or an init.
type catcher struct {
	identity
	comm string
	text string // the hint, for the error
}

// behind returns a hint on the nearest descendant of the target that catches the signal;
// empty: none does.
func (t *Target) behind(sig syscall.Signal) string {
	f := t.finder
	parents, relation := []int{t.PID}, "child"
	for len(parents) > 0 {
		var children []int
		for _, pid := range parents {
			all, err := f.sys.children(pid)
			if err == nil {
				children = append(children, slices.Sorted(maps.Keys(all))...)
			}
		}
		for _, pid := range children {
			if text := t.caughtBy(pid, relation, sig); text != "" {
				return text
			}
		}
		parents, relation = children, "descendant"
	}
	return ""
}

// caughtBy returns a hint that a descendant catches the signal; empty: it does not, or is a
// worker.
func (t *Target) caughtBy(pid int, relation string, sig syscall.Signal) string {
	f := t.finder
	st, err := f.sys.stat(pid)
	if err != nil || pid == f.sys.self {
		return ""
	}
	masks, err := f.sys.status(pid)
	if err != nil || !masks.catches(sig) {
		return ""
	}
	id := identity{pid, st.started}
	if t.catcher.identity == id && t.catcher.comm == st.comm {
		return t.catcher.text // making it reads all command lines, so only once
	}
	text := ""
	if _, match, err := f.matches(pid, st); err == nil && !match {
		if a, ok := f.adviseOn(pid); ok {
			text = fmt.Sprintf("its %s %s (pid %d) catches %s: set %s", relation, a.process, pid, Name(sig), a)
		}
	}
	t.catcher = catcher{id, st.comm, text}
	return text
}
