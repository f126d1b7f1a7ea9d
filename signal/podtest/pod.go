// Package podtest gives the processes of a test what those in a container have: a PID
// namespace without the machine's other processes, and all signals at their defaults.
package podtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstVar makes this program the first process of a pod.
const firstVar = "PODTEST_FIRST"

func init() {
	if os.Getenv(firstVar) != "" && os.Getpid() == 1 {
		fmt.Fprintln(os.Stderr, "the first process of a pod:", first())
		os.Exit(1)
	}
}

// A Pod is a PID namespace whose processes see no others in /proc, so they may have names
// that are in use on the machine. It needs root: for any other user a Pod does nothing, and
// its processes are the machine's.
type Pod struct {
	first  *exec.Cmd // all others end with it; nil: there is no pod
	dir    string
	orders chan func()
	closed sync.Once
}

// New makes a pod, which lasts until Close or until this process ends.
func New() (*Pod, error) {
	if os.Geteuid() != 0 {
		return new(Pod), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	p := &Pod{first: exec.Command("/proc/self/exe"), dir: dir, orders: make(chan func())}
	p.first.Env = append(os.Environ(), firstVar+"=1")
	p.first.Stderr = os.Stderr
	p.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
	}
	go func() {
		// A thread that has entered a pod cannot be used for anything else. It stays when
		// the pod has ended: for processes with Pdeathsig that it started before, its end
		// would be that of their parent (prctl(2)).
		runtime.LockOSThread()
		for order := range p.orders {
			order()
		}
	}()
	if err := p.do(p.begin); err != nil {
		p.Close()
		return nil, fmt.Errorf("making a pod: %w", err)
	}
	return p, nil
}

// do runs a function on the pod's thread.
func (p *Pod) do(what func() error) error {
	done := make(chan error)
	p.orders <- func() { done <- what() }
	return <-done
}

// begin starts the first process, and enters the pod once that is ready.
func (p *Pod) begin() error {
	out, err := p.first.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.first.Start(); err != nil {
		return err
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		return fmt.Errorf("its first process: %w", err)
	}
	namespaces := fmt.Sprintf("/proc/%d/ns/", p.first.Process.Pid)
	pid, err := os.Open(namespaces + "pid")
	if err != nil {
		return err
	}
	defer pid.Close()
	mnt, err := os.Open(namespaces + "mnt")
	if err != nil {
		return err
	}
	defer mnt.Close()
	return errors.Join(
		unix.Unshare(unix.CLONE_FS), // required by setns(2)
		unix.Setns(int(pid.Fd()), unix.CLONE_NEWPID),
		unix.Setns(int(mnt.Fd()), unix.CLONE_NEWNS),
	)
}

// first is what the first process does: it mounts the pod's /proc and reaps orphans, as
// Kubernetes' pause does.
func first() error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""), // later mounts appear here too
		unix.Mount("proc", "/proc", "proc", 0, ""),
	)
	if err != nil {
		return err
	}
	fmt.Print("\n")
	for range ended {
		for pid := 1; pid > 0; {
			pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
		}
	}
	return nil
}

// Start starts a command as a process of the pod, in this process's folder if it has no Dir.
// It clears Pdeathsig, which would end the command at once, as its parent is not visible; the
// command ends with the pod anyway.
func (p *Pod) Start(cmd *exec.Cmd) error {
	if p.first == nil {
		return cmd.Start()
	}
	if cmd.Dir == "" {
		cmd.Dir = p.dir
	}
	if cmd.SysProcAttr != nil {
		cmd.SysProcAttr.Pdeathsig = 0
	}
	return p.do(cmd.Start)
}

// PID returns the pid that a process, not yet waited for, has inside the pod (NSpid in
// proc_pid_status(5)).
func (p *Pod) PID(process *os.Process) (int, error) {
	if p.first == nil {
		return process.Pid, nil
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Pid))
	if err != nil {
		return 0, err
	}
	pids := strings.Fields(field(status, "NSpid"))
	if len(pids) == 0 {
		return 0, fmt.Errorf("/proc/%d/status has no NSpid", process.Pid)
	}
	return strconv.Atoi(pids[len(pids)-1])
}

// Close ends all processes of the pod; it may be called more than once. The caller still has
// to wait for those that it started: the first one, which waits for all of them
// (pid_namespaces(7)), is waited for in the background.
func (p *Pod) Close() {
	if p.first == nil || p.first.Process == nil {
		return
	}
	p.closed.Do(func() {
		_ = p.first.Process.Kill()
		go func() { _ = p.first.Wait() }() // it was killed
	})
}
