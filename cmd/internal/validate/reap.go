package validate

import (
	"bytes"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// own are the commands that run. What they leave behind comes to podsignal (PR_SET_CHILD_SUBREAPER,
// prctl(2)), so that it can be told from a program that is to be signalled, and is waited for
// when it ends.
var own commands

type commands struct {
	once    sync.Once
	mu      sync.Mutex
	running map[int]bool // by the first process: that is waited for where it was started
}

// start starts a command. Between its start and the note of it, it must not be reaped.
func (c *commands) start(cmd *exec.Cmd) error {
	c.once.Do(c.adopt)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.running[cmd.Process.Pid] = true
	return nil
}

// waited is for one that has been waited for.
func (c *commands) waited(pid int) {
	c.mu.Lock()
	delete(c.running, pid)
	c.mu.Unlock()
	c.reap()
}

// adopt has what commands leave behind come to this process, and reaps it, for good.
func (c *commands) adopt() {
	c.running = make(map[int]bool)
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // since Linux 3.4
	ended := make(chan os.Signal, 1)
	ossignal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			c.reap()
		}
	}()
}

// reap waits for all children that have ended, but for the commands themselves.
func (c *commands) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pid := range children() {
		if !c.running[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it may not have ended
		}
	}
}

// children are those of this process (/proc/PID/task/TID/children, proc(5)).
func children() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children") // the pattern is valid
	for _, list := range lists {
		content, err := os.ReadFile(list)
		if err != nil {
			continue // that thread has ended
		}
		for field := range bytes.FieldsSeq(content) {
			if pid, err := strconv.Atoi(string(field)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
