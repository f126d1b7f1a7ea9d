package signal

// Children are the pids of the processes that the target has forked and not yet
// reaped (proc_tid_children(5)). They are empty for one that has ended.
func (t *Target) Children() (map[int]bool, error) {
	return t.finder.sys.children(t.PID)
}
