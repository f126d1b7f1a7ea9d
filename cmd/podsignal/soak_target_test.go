//go:build soak

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Processes of the soak are this test binary under other names, chosen by these
// variables what to be and where to note what happens to them.
const (
	roleVar   = "SOAK_ROLE"   // target, worker, listener or helpless
	soakVar   = "SOAK_PID"    // of the soak, without which it ends
	dirVar    = "SOAK_DIR"    // the folder of the soak
	filesVar  = "SOAK_FILES"  // what a target loads, comma-separated
	loadedVar = "SOAK_LOADED" // set: what its entrypoint has loaded for it
	notesVar  = "SOAK_NOTES"  // the file that it notes that in
	signalVar = "SOAK_SIGNAL" // that it loads at
	lateVar   = "SOAK_LATE"   // how long it has no handler
	forksVar  = "SOAK_FORKS"  // set: it has a worker; session: that has a session of its own
)

// misdirected is where those note their signals who must not get any.
const misdirected = "misdirected"

func init() {
	if role := os.Getenv(roleVar); role != "" {
		play(role, os.Getenv(dirVar))
		os.Exit(0)
	}
}

// misdirect notes what nobody may get.
func misdirect(dir string, at time.Time, what, more string) {
	note(filepath.Join(dir, misdirected), at, what, more)
}

func note(file string, at time.Time, what, more string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(f, "%d %s %s\n", at.UnixNano(), what, more)
	f.Close()
}

// The signals of the soak itself have higher numbers than those that it is about.
const (
	deafen = syscall.SIGWINCH // ignore your signal
	ask    = syscall.SIGPWR   // have a handler, and say so
)

// play is the life of such a process. It is started with HUP ignored, which a Go
// program keeps until it asks for it: else it would catch HUP before it is ready
// for it, and die of it (DESIGN G2).
func play(role, dir string) {
	note := func(at time.Time, what, more string) { note(os.Getenv(notesVar), at, what, more) }
	go endWithSoak()
	signals := make(chan os.Signal, 1000)
	switch role {
	case "helpless": // it dies of a signal
		for {
			time.Sleep(time.Hour)
		}
	case "listener", "worker":
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM)
		for sig := range signals {
			misdirect(dir, time.Now(), fmt.Sprint(sig), fmt.Sprintf("to %s, pid %d", role, os.Getpid()))
		}
	}

	files := strings.Split(os.Getenv(filesVar), ",")
	mine, other := syscall.SIGHUP, syscall.SIGUSR1
	if os.Getenv(signalVar) == "USR1" {
		mine, other = other, mine
	}
	note(time.Now(), "pid", strconv.Itoa(os.Getpid()))
	loaded := os.Getenv(loadedVar)
	if loaded == "" {
		loaded = view(dir, files)
	}
	note(time.Now(), "start", loaded)
	if forks := os.Getenv(forksVar); forks != "" {
		worker := exec.Command(os.Args[0])
		worker.Env = append(os.Environ(), roleVar+"=worker")
		worker.SysProcAttr = &syscall.SysProcAttr{Setsid: forks == "session"}
		if err := worker.Start(); err != nil {
			panic(err)
		}
		note(time.Now(), "worker", strconv.Itoa(worker.Process.Pid))
	}
	late, _ := time.ParseDuration(os.Getenv(lateVar))
	time.Sleep(late)
	signal.Notify(signals, mine, other, deafen, ask)
	note(time.Now(), "ready", "")
	for sig := range signals {
		now := time.Now()
		switch sig {
		case mine:
			note(now, "reload", view(dir, files))
		case other:
			misdirect(dir, now, fmt.Sprint(sig), fmt.Sprintf("to a target of another, pid %d", os.Getpid()))
		case deafen:
			signal.Ignore(mine)
			note(now, "deaf", "")
		case ask:
			signal.Notify(signals, mine)
			note(now, "hears", "")
		}
	}
}

// endWithSoak is for those that are no children of the soak.
func endWithSoak() {
	pid, _ := strconv.Atoi(os.Getenv(soakVar))
	for pid != 0 && syscall.Kill(pid, 0) == nil {
		time.Sleep(time.Second)
	}
	os.Exit(1)
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
