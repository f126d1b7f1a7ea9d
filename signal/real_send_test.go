package signal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// realTarget finds the one target of a name.
func realTarget(t *testing.T, name string) *Target {
	t.Helper()
	return only(t, finderOf(name))
}

// heldBack fails unless the target is not ready for HUP for the given reason. It returns the
// time until the next attempt.
func heldBack(t *testing.T, target *Target, why string) time.Duration {
	t.Helper()
	err := target.Send(unix.SIGHUP)
	var unready *NotReadyError
	if !errors.As(err, &unready) || !strings.Contains(err.Error(), why) {
		t.Fatalf("Send: %v; want %q", err, why)
	}
	return unready.Retry
}

func TestRealSend(t *testing.T) {
	for way, noPidfd := range ways {
		t.Run(way, func(t *testing.T) {
			name := unique("a%s")
			p := script(t, name, scriptTraps)
			finder := finderOf(name)
			if noPidfd != nil {
				finder.sys.open = func(int) (int, error) { return -1, noPidfd }
				finder.sys.send = nil
			} else {
				finder.sys.kill = nil
			}
			target := only(t, finder)
			if err := target.Ready(unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			p.lives() // and has had no signal
			for range 3 {
				if err := target.Send(unix.SIGHUP); err != nil {
					t.Fatal(err)
				}
				p.trapped()
			}
		})
	}
}

func TestRealG1NoHandler(t *testing.T) {
	name := unique("a%s")
	p := script(t, name, scriptDoesNot)
	heldBack(t, realTarget(t, name), "has no handler for HUP")
	p.lives()
}

func TestRealG1Ignored(t *testing.T) {
	name := unique("a%s")
	p := script(t, name, scriptDoesNot, "--ignore-signal=HUP")
	heldBack(t, realTarget(t, name), "ignores HUP")
	p.lives()
}

// A blocked signal stays pending until signalfd(2) or sigwait(3) takes it.
func TestRealG1Blocked(t *testing.T) {
	name := unique("a%s")
	p := script(t, name, scriptDoesNot, "--block-signal=HUP")
	target := realTarget(t, name)
	if retry := heldBack(t, target, "blocks HUP"); retry <= 0 || retry > blockedFor {
		t.Errorf("to be tried again in %v", retry)
	}
	if pending(t, target.PID) {
		t.Error("sent at the first look")
	}
	until(t, "HUP can be sent", func() bool { return target.Send(unix.SIGHUP) == nil })
	if !pending(t, target.PID) {
		t.Error("not sent")
	}
	p.lives()
}

// pending reports whether HUP is pending for the process (ShdPnd, proc_pid_status(5)).
func pending(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), "\nShdPnd:\t0000000000000001\n")
}

// As in Redis: the kernel drops a signal that is ignored and that the first thread does not
// block.
func TestRealG1IgnoredAndBlockedInAThread(t *testing.T) {
	name := unique("a%s")
	// The Go runtime does not catch HUP if it is ignored at the start.
	p := goProgram(t, name, "blocks", "--ignore-signal=HUP")
	until(t, "the first thread is done with making others", func() bool {
		first, err := readStatus(procPath(p.Process.Pid, "status"))
		if err != nil || first.catch&mask(unix.SIGHUP) != 0 {
			t.Fatalf("the first thread: %+v, %v", first, err)
		}
		return first.blocked == 0
	})
	target := realTarget(t, name)
	threads, err := readThreads(p.Process.Pid)
	blocked := slices.ContainsFunc(threads, func(st status) bool { return st.blocked&mask(unix.SIGHUP) != 0 })
	if err != nil || !blocked {
		t.Fatalf("a thread blocks HUP: %v, %v", blocked, err)
	}
	heldBack(t, target, "ignores HUP")
	if err := unix.Kill(target.PID, unix.SIGHUP); err != nil || pending(t, target.PID) {
		t.Errorf("%v; sent all the same, it is pending: %v", err, pending(t, target.PID))
	}
	p.lives()
}

// A Go program without a handler seems to have one, and would die.
func TestRealG2(t *testing.T) {
	for what, run := range map[string]func(*testing.T, string) *program{
		"Go":     func(t *testing.T, name string) *program { return goProgram(t, name, "waits") },
		"script": func(t *testing.T, name string) *program { return script(t, name, scriptTraps) },
	} {
		t.Run(what, func(t *testing.T) {
			name := unique("a%s")
			p := run(t, name)
			finder := finderOf(name)
			finder.opts.Grace = time.Hour
			if retry := heldBack(t, only(t, finder), "has only just started"); retry > time.Hour || retry < 50*time.Minute {
				t.Errorf("to be tried again in %v", retry)
			}
			p.lives()

			// Long after its start, but visible only now: the mask of a Go program says
			// nothing.
			finder = finderOf(name)
			finder.opts.Grace = time.Hour
			finder.sys.now = func() time.Duration { return procfs.SinceBoot() + 2*time.Hour }
			target := only(t, finder)
			if what == "Go" {
				heldBack(t, target, "has only just started")
				p.lives()
				return
			}
			if err := target.Send(unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			p.trapped()
		})
	}
}

func TestRealP4Ended(t *testing.T) {
	for way, noPidfd := range ways {
		t.Run(way, func(t *testing.T) {
			name := unique("a%s")
			p := script(t, name, scriptTraps)
			finder := finderOf(name)
			if noPidfd != nil {
				finder.sys.open = func(int) (int, error) { return -1, noPidfd }
			}
			target := only(t, finder)
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait()
			if err := target.Send(unix.SIGHUP); !errors.Is(err, ErrGone) {
				t.Errorf("Send: %v, want ErrGone", err)
			}
			if pids := foundPIDs(t, finder); pids != nil {
				t.Errorf("found %d", pids)
			}
			if link, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", target.pidfd)); link == "anon_inode:[pidfd]" {
				t.Error("its pidfd is still open")
			}
		})
	}
}

// An exec keeps the pid, the start time and the pidfd. The new script would take the signal,
// but does not match.
func TestRealP4Exec(t *testing.T) {
	name, next := unique("a%s"), unique("b%s")
	path := script(t, next, scriptTraps).Args[2]
	p := script(t, name, "trap 'echo HUP' HUP\necho ready\nread -r next\nexec \"$next\"\n")
	target := realTarget(t, name)
	p.tell(path)
	p.says("ready")
	heldBack(t, target, "has become another program")
	p.lives()
	targets := found(t, finderOf(next))
	if len(targets) != 2 || targets[1].PID != target.PID || targets[1].Started != target.Started {
		t.Errorf("found %+v", targets)
	}
}
