package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	last     usage // at the last sample
	spending
}

// log is what a process says.
type log struct {
	text  bytes.Buffer
	word  string // that tells that it is ready
	ready chan time.Time
}

// Write keeps what is said, and tells when the word has come.
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
