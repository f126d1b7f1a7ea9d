package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// twice stands in for podsignal: it signals twice for each swap, the second time when the
// first signal has been taken, since two that wait are one.
const twice = `#!/bin/sh
echo msg=watching >&2
inotifywait -qm -e moved_to "$FILE" | while read -r event; do
	pid=$(pgrep -x "$PROCESS")
	kill -HUP "$pid"
	while grep -q '^ShdPnd:.*1$' "/proc/$pid/status"; do :; done
	kill -HUP "$pid"
done
`

// TestBench runs what `make bench` runs, in its shortest form.
func TestBench(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it makes PID namespaces")
	}
	for _, tool := range []string{"cc", "inotifywait", "pgrep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("install gcc, libc6-dev, inotify-tools and procps")
		}
	}
	bin := t.TempDir() + "/"
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../podsignal", ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bench := func(t *testing.T, podsignal string, args ...string) (string, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin+"bench", append([]string{"-podsignal", podsignal, "-swaps", "5"}, args...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	t.Run("compared", func(t *testing.T) {
		t.Parallel()
		samples := filepath.Join(t.TempDir(), "samples")
		out, err := bench(t, bin+"podsignal", "-burst", "20", "-idle", "1s", "-processes", "8,5", "-before", bin+"podsignal", "-samples", samples)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{
			`(?m)^\| podsignal +\| 0 +\| 1\.00 +\| 0 +\|( \d+ +\|){7} \d+\.\d +\|$`,
			`(?m)^\| floor: kill at the removal +\| 0 +\| 1\.00 +\| 0 +\|( \d+ +\|){7} \d+\.\d +\|$`,
			`(?m)^\| shell: inotifywait -m +\| \d+ +\| \d\.\d\d +\| \d+ +\|`,
			`(?m)^\| podsignal +\| [1-5] +\| yes +\|`,
			`(?m)^\| podsignal with LISTEN +\| \d+\.\d +\|`,
			`(?m)^\| podsignal, 20 clients of /status +\| 0 +\| 1\.00 +\| 0 +\|( \d+ +\|){7} \d+\.\d +\|$`,
			`(?m)^\| removal to signal, p50, 20 clients of /status +\| \d+ µs +\| \d+ µs without +\| \d+\.\d +\| ≤ 2 × without +\|`,
			`(?m)^\| CPU for a swap, 5 processes +\| \d+ µs +\| \d+ µs +\| \d+\.\d\d +\|$`,
			`(?m)^\| anonymous memory at most, 8 processes +\| \d\.\d\d MiB +\| \d\.\d\d MiB +\|`,
			`(?m)^\| signals per swap, 5 processes +\| 1\.00, 0 missed +\|.*\| met +\|$`,
		} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("it does not say %s:\n%s", want, out)
				break
			}
		}
		all, err := os.ReadFile(samples)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"ns-cpu", "ns-to-signal"} {
			for _, build := range []string{"now", "before"} {
				line := `(?m)^BenchmarkSwap/processes=5/build=` + build + ` 1 [1-9]\d+ ` + unit + `$`
				if n := len(regexp.MustCompile(line).FindAll(all, -1)); n != 5 {
					t.Errorf("%d samples of %s in %s, want one for each swap:\n%s", n, build, unit, all)
				}
			}
		}
	})
	t.Run("two signals per swap", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "podsignal")
		if err := os.WriteFile(path, []byte(twice), 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := bench(t, path, "-growth")
		if err == nil || !strings.Contains(out, "podsignal sent 10 signals for 5 swaps") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
