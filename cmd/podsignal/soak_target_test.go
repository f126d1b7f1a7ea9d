//go:build soak

package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Processes of the soak are this test binary under other names, told by these
// variables what to be and where to note what happens to them.
const (
	roleVar  = "SOAK_ROLE"  // target, worker, listener or helpless
	dirVar   = "SOAK_DIR"   // the folder of the soak
	notesVar = "SOAK_NOTES" // the file that a target notes what it loads in
	lateVar  = "SOAK_LATE"  // how long a target has no handler
	forksVar = "SOAK_FORKS" // set: it has a worker
)

// misdirected is where those note their signals who must not get any.
const misdirected = "misdirected"

func init() {
	if role := os.Getenv(roleVar); role != "" {
		play(role, os.Getenv(dirVar))
		os.Exit(0)
	}
}

// play is the life of such a process. It is started with HUP ignored, which a Go
// program keeps until it asks for it: else it would catch HUP before it is ready
// for it, and die of it (DESIGN G2).
func play(role, dir string) {
	name := os.Getenv(notesVar)
	if role != "target" {
		name = filepath.Join(dir, misdirected)
	}
	notes, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	note := func(at time.Time, what, more string) {
		fmt.Fprintf(notes, "%d %s %s\n", at.UnixNano(), what, more)
	}
	signals := make(chan os.Signal, 1000)
	switch role {
	case "helpless": // it dies of a signal
		for {
			time.Sleep(time.Hour)
		}
	case "listener", "worker":
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM)
		for sig := range signals {
			note(time.Now(), fmt.Sprint(sig), fmt.Sprintf("to %s, pid %d", role, os.Getpid()))
		}
	}

	note(time.Now(), "start", view(dir))
	if os.Getenv(forksVar) != "" {
		worker := exec.Command(os.Args[0])
		worker.Env = append(os.Environ(), roleVar+"=worker")
		if err := worker.Start(); err != nil {
			panic(err)
		}
		note(time.Now(), "worker", strconv.Itoa(worker.Process.Pid))
	}
	late, _ := time.ParseDuration(os.Getenv(lateVar))
	time.Sleep(late)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	note(time.Now(), "ready", "")
	for sig := range signals {
		now := time.Now()
		switch sig {
		case syscall.SIGHUP:
			note(now, "HUP", view(dir))
		case syscall.SIGUSR1:
			signal.Ignore(syscall.SIGHUP)
			note(now, "deaf", "")
		case syscall.SIGUSR2:
			signal.Notify(signals, syscall.SIGHUP)
			note(now, "hears", "")
		}
	}
}

// watched are the paths of FILE, in the folder of the soak.
var watched = []string{"v1", "v2", "secret", "optional", "plain", "link/sub/conf"}

// view is all that a reader of the watched paths sees, in a line.
func view(dir string) string {
	var shown []string
	var walk func(path string)
	walk = func(path string) {
		info, err := os.Stat(filepath.Join(dir, path))
		switch {
		case err != nil:
		case info.Mode().IsRegular():
			b, err := os.ReadFile(filepath.Join(dir, path))
			if err == nil {
				shown = append(shown, path+"="+strings.TrimSpace(string(b)))
			}
		case info.IsDir():
			entries, _ := os.ReadDir(filepath.Join(dir, path))
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), "..") {
					walk(filepath.Join(path, e.Name()))
				}
			}
		}
	}
	for _, path := range watched {
		walk(path)
	}
	return strings.Join(shown, " ")
}

// folders counts those that podsignal must watch to follow the watched paths: one
// for a volume, all of a plain folder, and those that hold a link or a file.
func folders(dir string) int {
	n := 0
	for _, path := range watched {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			continue // its parent is watched, as it is for the link
		}
		if _, err := os.Lstat(filepath.Join(dir, path, "..data")); err == nil {
			n++
			continue
		}
		_ = filepath.WalkDir(filepath.Join(dir, path), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				n++
			}
			return nil
		})
	}
	return n + len([]string{"the folder that link is in", "the folder that conf is in"})
}

// A tail reads the lines that a file grows by.
type tail struct {
	file *os.File
	rest string
}

func (t *tail) lines() []string {
	buf := make([]byte, 64<<10)
	for {
		n, err := t.file.Read(buf)
		t.rest += string(buf[:n])
		if n == 0 || err != nil {
			break
		}
	}
	end := strings.LastIndexByte(t.rest, '\n') + 1
	whole := t.rest[:end]
	t.rest = t.rest[end:]
	if whole == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(whole, "\n"), "\n")
}
