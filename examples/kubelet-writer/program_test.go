package writer_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	// deadline is for a machine that is busy.
	deadline = 30 * time.Second
	// minInterval lets a test of many writes end.
	minInterval = 100 * time.Millisecond
)

// record loads the volumes at the start and at each HUP, and prints what it has loaded.
func record(volumes []string) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	out := json.NewEncoder(os.Stdout)
	for {
		var all []map[string]string
		for _, volume := range volumes {
			all = append(all, load(volume))
		}
		if out.Encode(all) != nil {
			return // the test is over
		}
		<-hup
	}
}

// load reads the files of a volume by the paths that a program uses. What cannot be read,
// because another swap is under way, is left out: the next signal is to bring it.
func load(volume string) map[string]string {
	content := make(map[string]string)
	entries, _ := os.ReadDir(volume)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			continue // is the kubelet's own
		}
		root, err := filepath.EvalSymlinks(filepath.Join(volume, entry.Name()))
		if err != nil {
			continue
		}
		_ = filepath.WalkDir(root, func(path string, file fs.DirEntry, err error) error {
			if err != nil || file.IsDir() {
				return nil
			}
			if data, err := os.ReadFile(path); err == nil {
				content[filepath.Join(entry.Name(), strings.TrimPrefix(path, root))] = string(data)
			}
			return nil
		})
	}
	return content
}

// A program is one that records, with podsignal beside it.
type program struct {
	loaded  chan []map[string]string
	last    []map[string]string
	signals int
	log     *buffer // of podsignal
}

func start(t *testing.T, volumes []*volume) *program {
	t.Helper()
	var folders []string
	for _, v := range volumes {
		folders = append(folders, v.path)
	}
	dir := t.TempDir()
	podsignal, recorder := filepath.Join(dir, "podsignal"), filepath.Join(dir, "recorder")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", podsignal, "./cmd/podsignal")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The link's name becomes the name of the process.
	itself, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(itself, recorder); err != nil {
		t.Fatal(err)
	}

	p := &program{loaded: make(chan []map[string]string, 100), log: new(buffer)}
	target := exec.Command(recorder)
	target.Env = append(os.Environ(), "RECORDER="+strings.Join(folders, string(filepath.ListSeparator)))
	target.Stderr = p.log
	out, err := target.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, target)
	go func() {
		defer close(p.loaded)
		for lines := json.NewDecoder(out); ; {
			var all []map[string]string
			if lines.Decode(&all) != nil {
				return
			}
			p.loaded <- all
		}
	}()

	sidecar := exec.Command(podsignal)
	sidecar.Env = []string{
		"PROCESS=recorder", "FILE=" + strings.Join(folders, ","), "MIN_INTERVAL=" + minInterval.String(),
		"START_GRACE=1ms", "VERIFY=0",
	}
	sidecar.Stderr = p.log
	run(t, sidecar)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("podsignal's log:\n%s", p.log)
		}
	})

	p.last = p.load(t, "its first content")
	p.wait(t, "podsignal to find it", func() bool { return strings.Contains(p.log.String(), "process found") })
	return p
}

// run starts a command, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
}

func (p *program) load(t *testing.T, what string) []map[string]string {
	t.Helper()
	select {
	case all, ok := <-p.loaded:
		if !ok {
			t.Fatalf("the program has ended instead of loading %s", what)
		}
		return all
	case <-time.After(deadline):
		t.Fatalf("the program did not load %s within %v", what, deadline)
		return nil
	}
}

// waitLoaded waits until the program has loaded what the volumes hold.
func (p *program) waitLoaded(t *testing.T, volumes []*volume, written int) {
	t.Helper()
	want := contents(volumes)
	for ended := time.After(deadline); !same(p.last, want); {
		select {
		case all, ok := <-p.loaded:
			if !ok {
				t.Fatalf("the program has ended after %d writes", written)
			}
			p.last = all
			p.signals++
		case <-ended:
			t.Fatalf("after %d writes and %d signals the newest content is not loaded (-want +loaded):\n%s",
				written, p.signals, cmp.Diff(want, p.last))
		}
	}
	if p.signals > written {
		t.Fatalf("%d signals for %d writes", p.signals, written)
	}
}

// wantQuiet looks for signals too many, for a while.
func (p *program) wantQuiet(t *testing.T, written int) {
	t.Helper()
	for ended := time.After(20 * minInterval); ; {
		select {
		case p.last = <-p.loaded:
			p.signals++
		case <-ended:
			if p.signals > written {
				t.Fatalf("%d signals for %d writes", p.signals, written)
			}
			return
		}
	}
}

func (p *program) wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for ended := time.Now().Add(deadline); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(ended) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A buffer is written by two commands.
type buffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(p)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}
