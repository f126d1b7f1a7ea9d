package signal

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/podtest"
)

// The real processes of the tests are scripts, and this test's own program under another
// name, each with a name that no other process has.

const (
	// patience is the deadline for what must happen.
	patience = 10 * time.Second

	// scriptTraps prints HUP when it gets one, and echoes its input.
	scriptTraps = `trap 'echo HUP; again=yes' HUP
echo ready
while again=; read -r line || [ $again ]; do [ -z "$line" ] || echo "$line"; done
`
	// scriptDoesNot has no handler, and echoes its input.
	scriptDoesNot = `echo ready
while read -r line; do echo "$line"; done
`
)

// roleVariable makes this program a target instead of a test.
const roleVariable = "PODSIGNAL_TEST_ROLE"

func init() {
	if os.Getenv(roleVariable) != "" {
		runtime.LockOSThread() // keeps all but main off the first thread
	}
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	podtest.DefaultSignals()
	m.Run()
}

// play is a Go program without handlers, except in two roles: in "blocks" a thread other than
// the first blocks HUP; in "first ends" the first thread ends, and the others print HUP when
// they get one.
func play(role string) {
	if role == "first ends" {
		playFirstEnds()
	}
	blocked := make(chan error)
	go func() {
		runtime.LockOSThread()
		var set unix.Sigset_t
		if role == "blocks" {
			set.Val[0] = 1 << (unix.SIGHUP - 1)
		}
		blocked <- unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
		select {}
	}()
	if err := <-blocked; err != nil {
		fmt.Println(err)
	}
	fmt.Println("ready")
	_, _ = io.Copy(os.Stdout, os.Stdin)
}

func playFirstEnds() {
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, unix.SIGHUP)
	go func() {
		for range hups {
			fmt.Println("HUP")
		}
	}()
	go func() {
		for {
			if st, err := readStat(os.Getpid()); err == nil && st.state == 'Z' {
				break
			}
			time.Sleep(time.Millisecond)
		}
		fmt.Println("ready")
		_, _ = io.Copy(os.Stdout, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // ends only this thread (_exit(2))
}

// A program is a running process. It ends with the test.
type program struct {
	*exec.Cmd
	t   testing.TB
	in  *os.File
	out *os.File
	buf *bufio.Reader
}

// unique makes a name that no other process has from a pattern with one %s.
func unique(pattern string) string {
	return fmt.Sprintf(pattern, fmt.Sprintf("%08x", rand.Uint32()))
}

// script runs a script under a name, with options of env(1) about signals.
func script(t testing.TB, name, body string, env ...string) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return start(t, path, env...)
}

// goProgram runs this program in a role and under a name.
func goProgram(t *testing.T, name, role string, env ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return start(t, path, append(env, roleVariable+"="+role)...)
}

// start runs a program and waits until it prints that it is ready. It has the default for
// HUP, even if this process runs under nohup.
func start(t testing.TB, path string, env ...string) *program {
	t.Helper()
	theirIn, in, errIn := os.Pipe()
	out, theirOut, errOut := os.Pipe()
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	cmd := exec.Command("env", append(append([]string{"--default-signal=HUP"}, env...), path)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{cmd, t, in, out, bufio.NewReader(out)}
	t.Cleanup(p.end)
	p.says("ready")
	return p
}

// says waits for a line.
func (p *program) says(want string) {
	p.t.Helper()
	if err := p.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.buf.ReadString('\n')
	if err != nil || strings.TrimSuffix(line, "\n") != want {
		p.t.Fatalf("it said %q, %v; want %q", line, err, want)
	}
}

// tell writes a line to its input.
func (p *program) tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// trapped waits until a script has said that its trap has caught HUP. A shell runs the trap when
// read(2) ends, which began right after the signal if that came in between: so it gets a line.
func (p *program) trapped() {
	p.t.Helper()
	p.tell("")
	p.says("HUP")
}

// lives waits for an answer. An earlier signal has had its effect by then.
func (p *program) lives() {
	p.t.Helper()
	p.tell("alive")
	p.says("alive")
}

// end ends it and its children, which read their input too.
func (p *program) end() {
	p.in.Close()
	_ = p.Process.Kill() // it may have ended
	_ = p.Wait()
	_ = p.out.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, p.buf); err != nil {
		p.t.Errorf("a child of it lives on: %v", err)
	}
	p.out.Close()
}

// finderOf returns a Finder for real processes.
func finderOf(name string) *Finder {
	return realFinder(Options{Name: name})
}

// realFinder is NewFinder, but takes those that the test has started as if podsignal were
// another process.
func realFinder(opts Options) *Finder {
	opts.Log = slog.New(slog.DiscardHandler)
	finder := NewFinder(opts)
	finder.sys.self = -1
	return finder
}

// until waits for a condition.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !so(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not after %v: %s", patience, what)
		}
	}
}
