package signal

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
)

// Children are the pids of the processes that the target has forked and not yet
// reaped (proc_tid_children(5)). They are empty for one that has ended.
func (t *Target) Children() (map[int]bool, error) {
	return t.finder.sys.children(t.PID)
}

// Ended tells whether the process is gone, or a zombie, or cannot be seen any more.
func (t *Target) Ended() bool {
	st, err := t.finder.sys.stat(t.PID)
	return err != nil || st.ended() || st.started != t.Started
}

func readChildren(pid int) (map[int]bool, error) {
	paths, err := filepath.Glob(procPath(pid, "task/*/children"))
	if err != nil {
		return nil, err
	}
	children := make(map[int]bool)
	for _, path := range paths {
		b, err := readProc(path)
		if errors.Is(err, errGone) {
			continue // a thread that has ended
		}
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			children[child] = true
		}
	}
	return children, nil
}
