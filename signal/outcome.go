package signal

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
