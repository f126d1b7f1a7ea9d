package validate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	const unsplit = "cannot be split into words: close its quotes, and run what needs a shell by one, such as sh -c 'nginx -t 2>&1'"
	for _, test := range []struct {
		value, want, err string
	}{
		{"nginx -t -q", "nginx|-t|-q", ""},
		{"  nginx   -t ", "nginx|-t", ""},
		{`sh -c 'nginx -t 2>&1 | tail -3'`, "sh|-c|nginx -t 2>&1 | tail -3", ""},
		{`check "a b" c\ d ''`, "check|a b|c d|", ""},
		{"check $HOME `id`", "check|$HOME|`id`", ""}, // nothing is put in their place
		{"nginx -t && true", "", unsplit},
		{"nginx -t | cat", "", unsplit},
		{"nginx -t > /dev/null", "", unsplit},
		{"sh -c 'nginx -t", "", unsplit},
		{"check (a)", "", unsplit},
		{"''", "", "has no command: use the one that validates the program's configuration, such as nginx -t -q"},
	} {
		args, err := Parse(test.value)
		got, text := strings.Join(args, "|"), ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("%s: %s, error %s; want %s, error %s", test.value, got, text, test.want, test.err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("nginx -t")
	f.Add("sh -c 'a\\' \"")
	f.Fuzz(func(t *testing.T, value string) {
		if args, err := Parse(value); err == nil && (len(args) == 0 || args[0] == "") {
			t.Errorf("%q has no command, and no error", value)
		}
	})
}

func TestFind(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Find("sh"); err != nil {
		t.Error(err)
	}
	for command, want := range map[string]error{"podsignal-no-such": nil, "/no/such": fs.ErrNotExist, plain: fs.ErrPermission} {
		err := Find(command)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), "podsignal inject --validate") {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// run runs a script of a shell.
func run(t *testing.T, ctx context.Context, script string) (output string, took time.Duration, err error) { //nolint:revive // the context is the script's
	t.Helper()
	began := time.Now()
	err = Run(ctx, []string{"sh", "-c", script})
	if failed, ok := errors.AsType[*Error](err); ok {
		output = failed.Output
	}
	return output, time.Since(began), err
}

func TestRun(t *testing.T) {
	many := strings.Repeat("x", 300)
	for _, test := range []struct {
		name, script, err, output string
	}{
		{"success", "echo fine", "", ""},
		{"failure", "echo 'line 3: no ;' >&2; exit 3", "VALIDATE failed: exit status 3", "line 3: no ;"},
		{"no output", "exit 1", "VALIDATE failed: exit status 1", ""},
		{"the last lines of many", "seq 9; exit 1", "VALIDATE failed: exit status 1", "5\n6\n7\n8\n9"},
		{"a megabyte", "yes | head -c 1000000; echo; echo end; exit 1", "VALIDATE failed: exit status 1", "y\ny\ny\n\nend"},
		{"lines that are too long", "echo " + many + many + many + many + "; exit 1", "VALIDATE failed: exit status 1", strings.Repeat("x", 1023)},
		{"a crash", "kill -SEGV $$", "VALIDATE failed: it was ended by SIGSEGV", ""},
		{"no such command", "exec /no/such", "VALIDATE failed: exit status 127", "sh: 1: exec: /no/such: not found"},
		{"success, and a child that keeps its output", "setsid sleep 20 & exit 0", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, took, err := run(t, t.Context(), test.script)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff([]string{test.err, test.output}, []string{text, output}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	if err := Run(t.Context(), []string{"/no/such"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such command: %v", err)
	}
}

// A command that is to end is killed with its whole process group, and so is what it has left
// behind in that when it ends by itself. All that has ended is waited for.
func TestRunLeavesNothing(t *testing.T) {
	for name, script := range map[string]string{
		"cancelled": "sleep 600 & sleep 600 & trap '' TERM; echo $! >%s; wait",
		"ended":     "sleep 600 & echo $! >%s",
		"orphan":    "(sleep 600 & echo $! >%s)",
	} {
		t.Run(name, func(t *testing.T) {
			note := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { _, _, err := run(t, ctx, fmt.Sprintf(script, note)); done <- err }()
			pid := 0
			await(t, func() bool {
				content, _ := os.ReadFile(note)
				n, _ := fmt.Sscan(string(content), &pid)
				return n == 1
			})
			if name == "cancelled" {
				cancel()
			}
			err := <-done
			cancel()
			if cancelled := errors.Is(err, context.Canceled); cancelled != (name == "cancelled") {
				t.Errorf("%v", err)
			}
			await(t, func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
		})
	}
}

// What has left the process group goes on, as a child of this process, and is waited for when
// it ends.
func TestRunAdopts(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	if _, _, err := run(t, t.Context(), fmt.Sprintf("setsid sh -c 'echo $$ >%s; exec sleep 600' >/dev/null 2>&1 & while ! test -s %[1]s; do :; done", note)); err != nil {
		t.Fatal(err)
	}
	pid := 0
	content, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(content), &pid); err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	if parent := strings.Fields(fields)[1]; parent != fmt.Sprint(os.Getpid()) {
		t.Errorf("its parent is %s, want %d", parent, os.Getpid())
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
}

// await waits until something is so.
func await(t *testing.T, is func() bool) {
	t.Helper()
	for last := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(last) {
			t.Fatal("not within 20 s")
		}
	}
}

// A command that does not end is killed.
func TestRunTooLong(t *testing.T) {
	t.Parallel()
	output, took, err := run(t, t.Context(), "echo begun; sleep 600")
	if err == nil || err.Error() != "VALIDATE failed: it has not ended within 30s" || output != "begun" || took < Within {
		t.Errorf("%v after %v, output %s", err, took, output)
	}
}
