package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is for each thing that must happen; all of them take milliseconds.
const patience = 10 * time.Second

var errInterrupted = errors.New("interrupted")

// A stage is a temporary folder and the processes that play in it.
type stage struct {
	dir   string
	procs []*process
}

type process struct {
	name  string
	cmd   *exec.Cmd
	log   string        // the file that has its stdout and stderr
	ended chan struct{} // closed; then cmd.ProcessState says how
}

func newStage() (*stage, error) {
	dir, err := os.MkdirTemp("", "podsignal-demo-")
	return &stage{dir: dir}, err
}

// start runs command with env and nothing else from the demo's environment,
// where a LISTEN or a FILE may mean something else.
func (s *stage) start(name string, command []string, env ...string) (*process, error) {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: name, cmd: exec.Command(command[0], command[1:]...), log: log.Name(), ended: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		// A demo that is killed leaves nothing behind but its folder. TERM, because
		// nginx takes its workers with it only then.
		Pdeathsig: syscall.SIGTERM,
		// Ctrl-C is for the demo alone, which then ends the others.
		Setpgid: true,
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // no more than what ProcessState says
		close(p.ended)
	}()
	s.procs = append(s.procs, p)
	return p, nil
}

// await returns when seen is true; an error when it does not become true in
// time, a process ended, or ctx did.
func (s *stage) await(ctx context.Context, what string, seen func() bool) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for {
		yes := seen()
		for _, p := range s.procs { // also when yes: a worker may serve without its master
			select {
			case <-p.ended:
				return fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
			default:
			}
		}
		if yes {
			return nil
		}
		select {
		case <-look.C:
		case <-late:
			return fmt.Errorf("waited %v in vain until %s", patience, what)
		case <-ctx.Done():
			return errInterrupted
		}
	}
}

// pause waits for d, with an eye on the processes.
func (s *stage) pause(ctx context.Context, d time.Duration) error {
	started := time.Now()
	return s.await(ctx, "time passes", func() bool { return time.Since(started) >= d })
}

// explain adds to err what each process said, unless a person ended the demo.
func (s *stage) explain(err error) error {
	if errors.Is(err, errInterrupted) {
		return err
	}
	var b strings.Builder
	for _, p := range s.procs {
		fmt.Fprintf(&b, "\n\n%s said:\n%s", p.name, p.said())
	}
	return fmt.Errorf("%w%s", err, b.String())
}

// clear ends the processes, the last one first, and removes the folder.
func (s *stage) clear() {
	for i := len(s.procs) - 1; i >= 0; i-- {
		p := s.procs[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
		select {
		case <-p.ended:
		case <-time.After(patience / 2):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	_ = os.RemoveAll(s.dir) // nothing useful can be done about it
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
