package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/logging"
)

// What a shared process namespace opens to others is the kernel's rule of ptrace(2), under
// "Ptrace access mode checking": equal uids and gids, and no capability that the other has and
// they do not. A signal asks for equal uids alone, or for the capability KILL.
func TestWhatOthersSee(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("other uids need root: run the tests as root")
	}
	as := func(uid, gid string) []string { return []string{"--reuid", uid, "--regid", gid, "--clear-groups"} }
	root, rootWithout := []string{}, []string{"--inh-caps=-all", "--bounding-set=-all"}
	mayKill := []string{"--inh-caps=-all", "--bounding-set=-all,+kill"}
	for _, test := range []struct {
		name         string
		owner, other []string
		sees, kills  bool
	}{
		{"equal uids and gids", as("65534", "65534"), as("65534", "65534"), true, true},
		{"another gid", as("65534", "65534"), as("65534", "65533"), false, true},
		{"another uid", as("65534", "65534"), as("65533", "65534"), false, false},
		{"root without capabilities, of root with some", root, rootWithout, false, true},
		{"root, of root without capabilities", rootWithout, root, true, true},
		{"root with KILL alone, of another uid", as("65534", "65534"), mayKill, false, true},
		{"root with KILL alone, of root with more", root, mayKill, false, true},
		{"another uid, of root with KILL alone", mayKill, as("65534", "65534"), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := func(user []string, command ...string) *exec.Cmd {
				return exec.CommandContext(t.Context(), "setpriv", append(user, command...)...)
			}
			owner := run(test.owner, "sh", "-c", "echo ready; exec sleep 60")
			owner.Env = append(os.Environ(), "MARK=podsignal")
			out, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Skipf("setpriv (Debian: apt-get install util-linux): %v", err)
			}
			defer func() { _ = owner.Process.Kill(); _ = owner.Wait() }()
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			proc := fmt.Sprintf("/proc/%d/", owner.Process.Pid)
			try := func(want bool, command ...string) {
				text, err := run(test.other, command...).CombinedOutput()
				if got := err == nil; got != want {
					t.Errorf("%s: %v, want %v\n%s", strings.Join(command, " "), got, want, text)
				}
			}
			try(test.sees, "grep", "-q", "MARK=podsignal", proc+"environ")
			try(test.sees, "ls", proc+"root/")
			try(test.sees, "readlink", proc+"fd/1")
			try(test.kills, "sh", "-c", fmt.Sprintf("kill -0 %d", owner.Process.Pid))
		})
	}
}

// What others have named is one line of the log, and of podsignal check.
func TestForgedLine(t *testing.T) {
	const forged = "a\nlevel=ERROR msg=forged\r\x1b[2J"
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		w := logging.NewWriter(&out)
		logging.New(w, 0, asJSON).Warn("no matching process, retrying", "err", forged)
		w.End(10 * time.Second)
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b") {
			t.Errorf("JSON %v: %q", asJSON, got)
		}
	}

	var out bytes.Buffer
	report := check.Report{
		Verdict:   check.LevelOK,
		Findings:  []check.Finding{{Level: check.LevelOK, About: "process", Text: forged}},
		Processes: []check.ProcessReport{{PID: 7, Name: forged, Role: "worker"}},
	}
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "level=") || strings.ContainsAny(line, "\r\x1b") {
			t.Errorf("podsignal check prints %q", line)
		}
	}
}
