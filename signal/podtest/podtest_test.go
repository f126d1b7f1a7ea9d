package podtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	DefaultSignals()
	m.Run()
}

// innerVar marks a process that a test has started, which checks its own signals.
const innerVar = "PODTEST_INNER"

// ofLibc is the set of signals 32 and 33, which the C library reserves (signal(7), "Real-time
// signals"): processes that make starts by posix_spawn ignore them, and no program can use
// them.
const ofLibc = 1<<31 | 1<<32

func TestDefaultSignals(t *testing.T) {
	if os.Getenv(innerVar) != "" {
		status, err := exec.CommandContext(t.Context(), "cat", "/proc/self/status").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"SigIgn", "SigBlk"} {
			if set := signals(status, name) &^ ofLibc; set != 0 {
				t.Errorf("%s of a child is %016x", name, set)
			}
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const some = "HUP,INT,QUIT,USR1,USR2,PIPE,ALRM,TERM,CHLD,CONT,TSTP,TTIN,TTOU,WINCH,RTMAX"
	for _, wrapper := range []string{
		"nohup", "env", "env --ignore-signal=HUP", "env --block-signal=HUP",
		"env --ignore-signal=" + some, "env --block-signal=" + some, "env --ignore-signal=INT,USR1 --block-signal=INT,USR2",
	} {
		t.Run(wrapper, func(t *testing.T) {
			command := append(strings.Fields(wrapper), self, "-test.run=^TestDefaultSignals$")
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Env = append(os.Environ(), innerVar+"=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// This process keeps ignoring what a wrapper has made it ignore: tests under nohup survive the
// end of the terminal.
func TestStillIgnored(t *testing.T) {
	if os.Getenv(innerVar) != "" {
		if err := unix.Kill(os.Getpid(), unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "nohup", self, "-test.run=^TestStillIgnored$")
	cmd.Env = append(os.Environ(), innerVar+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPod(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	start := func(script string) (cmd *exec.Cmd, said *bytes.Buffer) {
		cmd, said = exec.Command("sh", "-c", script), new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = said, said
		cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
		if err := p.Start(cmd); err != nil {
			t.Fatal(err)
		}
		return cmd, said
	}

	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cmd, said := start("pwd; echo $$")
	pid, err := p.PID(cmd.Process)
	if err != nil {
		t.Fatal(err)
	}
	if err, want := cmd.Wait(), fmt.Sprintf("%s\n%d\n", here, pid); err != nil || said.String() != want {
		t.Errorf("said %q, want %q (%v)", said, want, err)
	}
	if os.Geteuid() != 0 {
		return // without root there is no pod
	}

	cmd, said = start("ls -d /proc/[0-9]*")
	own, err := p.PID(cmd.Process)
	if err != nil {
		t.Fatal(err)
	}
	if err, want := cmd.Wait(), fmt.Sprintf("/proc/1\n/proc/%d\n", own); err != nil || said.String() != want {
		t.Errorf("processes in the pod are %q, want %q (%v)", said, want, err)
	}

	// The first process reaps orphans: this process is one once its shell has ended.
	cmd, said = start("sleep 0.1 > /dev/null 2>&1 & echo $!")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	cmd, _ = start("while [ -e /proc/" + strings.TrimSpace(said.String()) + " ]; do sleep 0.01; done")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	cmd, _ = start("exec sleep 60")
	p.Close()
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("when the pod has ended, a process of it ends with %v", err)
	}
}
