package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// start starts a command as a container of the pod.
func (p *pod) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started := make(chan error)
	go func() {
		// A thread that has entered the pod is good for nothing else: it is never
		// unlocked, and so ends with the goroutine.
		runtime.LockOSThread()
		err := enter(p.first.Process.Pid)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

// enter makes the processes that this thread starts belong to a pod.
func enter(pid int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	pidns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return err
	}
	defer pidns.Close()
	mntns, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return err
	}
	defer mntns.Close()
	if err := unix.Setns(int(pidns.Fd()), unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("entering the pod's PID namespace: %w", err)
	}
	if err := unix.Setns(int(mntns.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("entering the pod's mount namespace: %w", err)
	}
	return nil
}

// innerPid is the pid that the pod knows a process by (NSpid in proc_pid_status(5)).
func innerPid(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(b), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	pids := strings.Fields(line)
	if len(pids) < 2 {
		return "", fmt.Errorf("process %d is in no pod", pid)
	}
	return pids[len(pids)-1], nil
}
