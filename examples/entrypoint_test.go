package examples_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/podsignal/podsignal/signal/podtest"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

func TestMain(m *testing.M) {
	podtest.DefaultSignals()
	m.Run()
}

// Entrypoints that make a copy of what is mounted, as README.md has them.
func TestEntrypoint(t *testing.T) {
	if _, err := exec.LookPath("envsubst"); err != nil {
		t.Skip("install envsubst, Debian's package gettext-base")
	}
	bin := t.TempDir()
	run(t, nil, "go", "build", "-o", bin, "../cmd/podsignal", "./greeter")
	renders := filepath.Join(bin, "render.sh")
	if err := os.WriteFile(renders, []byte(script(t)), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		entrypoint []string // before the template, the file and the program
		process    string
		outcome    string
		answer     string // after the change
	}{
		"a copy made at the start":   {[]string{"/bin/sh", "-c", `cp "$0" "$1" && shift && exec "$@"`}, "greeter", "unseen", "hello, $NAME"},
		"rendered again at a reload": {[]string{renders}, "render.sh", "read", "goodbye, Ada"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			volume, file, address := filepath.Join(dir, "volume"), filepath.Join(dir, "greeting"), freeAddress(t).String()
			write := func(greeting string) {
				t.Helper()
				if err := volumetest.Write(volume, volumetest.Files{"template": greeting + ", $NAME"}); err != nil {
					t.Fatal(err)
				}
			}
			write("hello")
			program := append(slices.Clone(tt.entrypoint), filepath.Join(volume, "template"), file, filepath.Join(bin, "greeter"))
			launch(t, program, "PATH="+os.Getenv("PATH"), "NAME=Ada", "CONFIG="+file, "LISTEN="+address)
			answers := func(want string) {
				t.Helper()
				await(t, want, func() string { return answer("http://" + address) })
			}
			answers(strings.Replace(tt.answer, "goodbye", "hello", 1))

			log := launch(t, []string{filepath.Join(bin, "podsignal")}, "FILE="+volume, "PROCESS="+tt.process,
				"CMDLINE="+regexp.QuoteMeta(bin), "START_GRACE=100ms", "VERIFY=1s") // not those of other tests
			await(t, "process found", log.String)
			write("goodbye")
			await(t, "outcome="+tt.outcome, log.String)
			answers(tt.answer)
		})
	}
}

func answer(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// await waits for a word in what get returns.
func await(t *testing.T, want string, get func() string) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		got := get()
		if strings.Contains(got, want) {
			return
		}
		if time.Since(start) > deadline {
			t.Fatalf("no %q within %v:\n%s", want, deadline, got)
		}
	}
}

// An output may be written and read at once.
type output struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.String()
}

// launch runs a command, with this environment alone, until the test ends.
func launch(t *testing.T, command []string, env ...string) *output {
	t.Helper()
	out := new(output)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", command[0], out)
		}
	})
	return out
}

// script is the one that README.md shows.
func script(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "```sh\n#!")
	body, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("README.md shows no script")
	}
	return "#!" + body
}
