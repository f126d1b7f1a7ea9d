package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is for what must happen, brief for what may.
	patience = 10 * time.Second
	brief    = time.Second

	// grace is a little more than START_GRACE and MIN_INTERVAL.
	grace = 1100 * time.Millisecond
)

// shape is how large a pod is.
type shape struct{ processes, keys, volumes, targets int }

// A pod is a PID and mount namespace with idle processes, targets, volumes and one
// contestant. All of it ends with its first process.
type pod struct {
	*contestant
	shape shape

	first    *exec.Cmd
	volumes  []*volume
	targets  []*exec.Cmd
	pipe     *os.File // that the targets write to
	begun    time.Time
	sidecar  *exec.Cmd
	log      *log
	watching time.Duration // from its start

	arrivals []int64
	swaps    []swap
	at       usage // when the swaps began
}

// log is what a process says.
type log struct {
	text  bytes.Buffer
	word  string // that tells that it is ready
	ready chan time.Time
}

func (l *log) Write(b []byte) (int, error) {
	l.text.Write(b)
	if l.ready != nil && bytes.Contains(l.text.Bytes(), []byte(l.word)) {
		l.ready <- time.Now()
		l.ready = nil
	}
	return len(b), nil
}

// newPod starts a pod, and returns it when its contestant is watching. The folder is
// for its volumes; from outside they are seen through its first process.
func newPod(b *bench, c *contestant, s shape, env ...string) (p *pod, err error) {
	p = &pod{contestant: c, shape: s}
	defer func() {
		if err != nil {
			p.end()
			err = fmt.Errorf("%s: %w", c.name, err)
			if p.log != nil {
				err = fmt.Errorf("%w; it said:\n%s", err, p.log.text.String())
			}
		}
	}()
	dir, err := os.MkdirTemp(b.dir, "pod-")
	if err != nil {
		return p, err
	}
	idle := max(0, s.processes-1-s.targets-c.processes)
	args := []string{strconv.Itoa(idle)}
	var paths []string
	for i := range s.volumes {
		path := filepath.Join(dir, fmt.Sprintf("volume%d", i))
		if err := os.Mkdir(path, 0o755); err != nil {
			return p, err
		}
		paths = append(paths, path)
	}
	if err := p.startFirst(b.tool("pause"), append(args, paths...)); err != nil {
		return p, err
	}
	for _, path := range paths {
		v := &volume{path: fmt.Sprintf("/proc/%d/root%s", p.first.Process.Pid, path), keys: s.keys}
		p.volumes = append(p.volumes, v)
		if err := v.write(); err != nil {
			return p, err
		}
	}
	if err := p.startTargets(b.tool("target")); err != nil {
		return p, err
	}
	return p, p.startSidecar(b, paths, env)
}

func (p *pod) startFirst(pause string, args []string) error {
	p.first = exec.Command(pause, args...)
	p.first.Stderr = os.Stderr
	p.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true, // Ctrl-C is for the bench alone, which then ends the pods
	}
	out, err := p.first.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.first.Start(); err != nil {
		return err
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		return fmt.Errorf("the pod's first process: %w", err)
	}
	return nil
}

func (p *pod) startTargets(target string) error {
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	p.pipe = in
	for range p.shape.targets {
		cmd := exec.Command(target)
		cmd.Stdout = out
		if err := p.start(cmd); err != nil {
			return err
		}
		p.targets = append(p.targets, cmd)
	}
	p.begun = time.Now()
	if err := p.listen(patience, func() bool { return len(p.arrivals) >= len(p.targets) }); err != nil {
		return err
	}
	if len(p.arrivals) < len(p.targets) {
		return errors.New("the targets did not start")
	}
	return nil
}

func (p *pod) startSidecar(b *bench, paths, env []string) error {
	pid, err := innerPid(p.targets[0].Process.Pid)
	if err != nil {
		return err
	}
	command, its := p.command(b, paths, pid)
	p.sidecar = exec.Command(command[0], command[1:]...)
	p.sidecar.Env = append(append([]string{"PATH=" + os.Getenv("PATH")}, its...), env...)
	ready := make(chan time.Time, 1)
	p.log = &log{word: p.ready, ready: ready}
	p.sidecar.Stderr = p.log
	begun := time.Now()
	if err := p.start(p.sidecar); err != nil {
		return err
	}
	select {
	case at := <-ready:
		p.watching = at.Sub(begun)
		return nil
	case <-time.After(patience):
		return fmt.Errorf("it did not say %q", p.ready)
	}
}

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

// listen takes in signals' arrivals until there are enough, or for some time.
func (p *pod) listen(within time.Duration, enough func() bool) error {
	within = max(within, time.Millisecond) // what has come is not read after the deadline
	if err := p.pipe.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	const stamp = 8
	buf := make([]byte, 512*stamp) // stamps are written whole (pipe(7))
	for !enough() {
		n, err := p.pipe.Read(buf)
		for b := range slices.Chunk(buf[:n], stamp) {
			p.arrivals = append(p.arrivals, int64(binary.NativeEndian.Uint64(b)))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: the targets have ended: %w", p.name, err)
		}
	}
	return nil
}

// rest listens for some time.
func (p *pod) rest(d time.Duration) error {
	return p.listen(d, func() bool { return false })
}

// calm listens until no signal has come for so long, and the contestant has slept
// through most of that: podsignal looks for new targets after the signal. It gives up
// at the end.
func (p *pod) calm(quiet time.Duration, end time.Time) error {
	for {
		signals := len(p.arrivals)
		before, err := cpuOf(p.sidecar.Process.Pid)
		if err := errors.Join(err, p.rest(quiet)); err != nil {
			return err
		}
		after, err := cpuOf(p.sidecar.Process.Pid)
		if err != nil {
			return err
		}
		if len(p.arrivals) == signals && after-before < quiet/5 || time.Now().After(end) {
			return nil
		}
	}
}

// answered tells whether each target has had a signal since.
func (p *pod) answered(since int64) bool {
	n := 0
	for _, at := range p.arrivals {
		if at >= since {
			n++
		}
	}
	return n >= len(p.targets)
}

// swap swaps one of the volumes and waits until all targets are signalled.
func (p *pod) swap() error {
	s, err := p.volumes[len(p.swaps)%len(p.volumes)].swap()
	if err != nil {
		return err
	}
	p.swaps = append(p.swaps, s)
	within := brief
	if p.reliable {
		within = patience
	}
	return p.listen(within, func() bool { return p.answered(s.renaming) })
}

// begin forgets what was, for what is measured from here on.
func (p *pod) begin() (err error) {
	p.swaps, p.arrivals = nil, nil
	p.at, err = p.usage()
	return err
}

func (p *pod) usage() (usage, error) { return usageOf(p.sidecar.Process.Pid) }

// end ends all of the pod: its first process takes the others with it.
func (p *pod) end() {
	if p.first == nil || p.first.Process == nil {
		return
	}
	_ = p.first.Process.Kill()
	// Its end waits for theirs, and theirs for us.
	for _, cmd := range append(p.targets, p.sidecar) {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Wait()
		}
	}
	_ = p.first.Wait()
	if p.pipe != nil {
		p.pipe.Close()
	}
}
