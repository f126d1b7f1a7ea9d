//go:build soak

package main_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ended is a child process; gone is closed when it has ended.
type ended struct {
	*exec.Cmd
	gone chan struct{}
}

func (e *ended) pid() int { return e.Process.Pid }

func (s *soak) start(cmd *exec.Cmd) *ended {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(s.t, cmd.Start())
	e := &ended{cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // what it says is in ProcessState
		close(e.gone)
	}()
	return e
}

func (e *ended) over() bool {
	select {
	case <-e.gone:
		return true
	default:
		return false
	}
}

func (e *ended) mustLive(s *soak, what string) {
	if e.over() {
		s.fail("%s, pid %d, ended: %v", what, e.pid(), e.ProcessState)
	}
}

// end sends sig and waits.
func (e *ended) end(s *soak, sig syscall.Signal) {
	check(s.t, e.Process.Signal(sig))
	select {
	case <-e.gone:
	case <-time.After(soakDeadline):
		s.fail("pid %d did not end at signal %d", e.pid(), sig)
	}
}

// standBy starts a process that must never get a signal.
func (s *soak) standBy(name, role string, args ...string) {
	self, err := os.Executable()
	check(s.t, err)
	check(s.t, os.Symlink(self, s.path(name)))
	cmd := exec.Command(s.path(name), args...)
	cmd.Env = s.cast(role)
	s.bystanders = append(s.bystanders, s.start(cmd))
}

// follow is for a process that is not a child.
func (s *soak) follow(pid int) *ended {
	process, err := os.FindProcess(pid)
	check(s.t, err)
	pidfd, err := unix.PidfdOpen(pid, 0)
	check(s.t, err)
	e := &ended{&exec.Cmd{Process: process}, make(chan struct{})}
	go func() {
		defer close(e.gone)
		defer unix.Close(pidfd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return e
}

// cast is the environment of a process of the soak.
func (s *soak) cast(role string) []string {
	return []string{roleVar + "=" + role, soakVar + "=" + strconv.Itoa(os.Getpid()), dirVar + "=" + s.dir}
}

// A target is a process that notes what it loads.
type target struct {
	*ended // nil: it is called, or has yet to be started by its launcher
	tail
	rule    *rule
	said    []string
	loaded  string    // when it started or at its last signal or call
	arrived time.Time // that
	ready   time.Time // since then it has a handler
	hears   bool      // it has answered since it was asked
	known   bool      // to podsignal, since a quiet point
	worker  int       // pid
	got     int       // signals since the last quiet point
	allowed int       // as many are right
}

func (t *target) pid() int {
	if t.ended == nil {
		return 0
	}
	return t.ended.pid()
}

// startTarget starts one more. A script of sh makes it ignore its signal until it has
// a handler: wait is what that script does first.
func (s *soak) startTarget(r *rule, wait string, env ...string) *target {
	sh := "/bin/sh"
	if s.IntN(2) == 0 {
		sh = s.path("sh/" + r.process)
	}
	t, cmd := s.newTarget(r, sh, wait+` trap "" `+r.signal+`; exec "$0"`, env...)
	t.ended = s.start(cmd)
	return t
}

// startDaemon starts one that a launcher of the same name leaves behind, in a session of its
// own, when it ends after lives. With orphan its parent has ended before.
func (s *soak) startDaemon(r *rule, lives time.Duration, orphan bool, env ...string) *target {
	script := `(trap "" ` + r.signal + `; exec setsid "$0") &`
	if orphan {
		script = `(exec setsid /bin/sh -c 'trap "" ` + r.signal + `; "$0" & exit' "$0") &`
	}
	t, cmd := s.newTarget(r, s.path("sh/"+r.process), fmt.Sprintf("%s sleep %.2f; exit", script, lives.Seconds()), env...)
	launcher := s.start(cmd)
	s.await("there is a daemon", func() bool { return t.read(s).ended != nil })
	s.launchers = slices.DeleteFunc(append(s.launchers, launcher), func(e *ended) bool { return e.over() })
	return t
}

// newTarget is one that a script of sh will start as "$0".
func (s *soak) newTarget(r *rule, sh, script string, env ...string) (*target, *exec.Cmd) {
	s.serial++
	notes, err := os.Create(s.path(fmt.Sprintf("notes%d", s.serial)))
	check(s.t, err)
	cmd := exec.Command(sh, "-c", script, s.path(r.process))
	cmd.Env = append(s.cast("target"), filesVar+"="+strings.Join(r.watched, ","), notesVar+"="+notes.Name(), signalVar+"="+r.signal, "PATH=/usr/bin:/bin")
	cmd.Env = append(cmd.Env, env...)
	t := &target{rule: r, tail: tail{file: notes}}
	// What started while files changed may have read what was before.
	if !r.calm || r.stirred {
		t.allowed = 1
	}
	r.targets = append(r.targets, t)
	s.note("starts %s for %s: %s %s", filepath.Base(notes.Name()), r.name, script, strings.Join(env, " "))
	return t, cmd
}

func (t *target) read(s *soak) *target {
	if t.ended != nil {
		t.mustLive(s, "target")
	}
	for _, line := range t.lines() {
		at, line, _ := strings.Cut(line, " ")
		what, more, _ := strings.Cut(line, " ")
		if what == "pid" && t.ended == nil {
			pid, err := strconv.Atoi(more)
			check(s.t, err)
			t.ended = s.follow(pid)
		}
		nanos, err := strconv.ParseInt(at, 10, 64)
		check(s.t, err)
		when := time.Unix(0, nanos)
		t.said = append(t.said, when.Format("05.000 ")+line)
		switch what {
		case "start":
			t.loaded = more
		case "failed":
			t.loaded = "what a call that failed has left"
		case "reload":
			t.got++
			t.loaded, t.arrived = more, when
		case "worker":
			t.worker, err = strconv.Atoi(more)
			check(s.t, err)
		case "ready":
			t.ready = when
		case "deaf", "hears":
			t.hears = what == "hears"
		}
	}
	return t
}

// sidecar is podsignal.
type sidecar struct {
	*ended
	tail
	log     *logPipe
	said    []string
	address string // of its pages
	anon    []int  // anonymous memory at each quiet point, in KiB
	stopped bool   // since the last quiet point
	waited  map[string]time.Duration
}

func (s *soak) startSidecar() {
	s.sidecars++
	file, err := os.Create(s.path(fmt.Sprintf("podsignal%d.log", s.sidecars)))
	check(s.t, err)
	log, writer := s.newLogPipe(file.Name())
	defer writer.Close()
	cmd := exec.Command(s.path("podsignal"))
	cmd.Stderr = writer
	cmd.Env = []string{
		"RESYNC=1s", "MIN_INTERVAL=" + minInterval.String(), "START_GRACE=200ms", "DEBOUNCE=" + quietTime.String(),
		"VERIFY=500ms", // a quiet point waits for its end
		"API_RELOAD_URL=" + fmt.Sprintf("%s?start=%d", s.url, s.sidecars), "API_RELOAD_TIMEOUT=" + reloadTimeout.String(),
		"LISTEN=127.0.0.1:0", "LOG_LEVEL=debug", "GOTRACEBACK=all",
	}
	var names []string
	for _, r := range s.rules {
		names = append(names, r.name)
		cmd.Env = append(cmd.Env, r.environment(s)...)
		r.looks = 0
		// Nothing is persisted: what is older than the last change gets one more.
		r.allow(1)
	}
	cmd.Env = append(cmd.Env, "RULES="+strings.Join(names, ","))
	var said []string
	if s.sidecar != nil {
		said = slices.Concat(s.sidecar.said, []string{"podsignal starts anew"})
	}
	s.sidecar = &sidecar{ended: s.start(cmd), tail: tail{file: file}, log: log, said: said}
	s.note("started podsignal, pid %d", s.sidecar.pid())
}

// end ends podsignal, and then reads what is left of its log.
func (p *sidecar) end(s *soak, sig syscall.Signal) {
	p.ended.end(s, sig)
	p.log.resume()
	<-p.log.done
}

var (
	ruleAttr    = regexp.MustCompile(` rule=(\w+)`)
	addressAttr = regexp.MustCompile(` msg=listening address=(\S+)`)
	droppedAttr = regexp.MustCompile(` msg="log lines were dropped: nobody read them" lines=(\d+)`)
)

// attr is that of a line of the log; empty: it has none.
func attr(pattern *regexp.Regexp, line string) string {
	if m := pattern.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

func (p *sidecar) read(s *soak) {
	p.mustLive(s, "podsignal")
	for _, line := range p.lines() {
		p.said = append(p.said, line)
		if !strings.HasPrefix(line, "time=") {
			s.fail("podsignal says what is no line of its log: %s", line)
		}
		p.address = cmp.Or(p.address, attr(addressAttr, line))
		dropped, _ := strconv.Atoi(attr(droppedAttr, line)) // 0: it does not tell of that
		s.dropped += dropped
		i := slices.IndexFunc(s.rules, func(r *rule) bool { return r.name == attr(ruleAttr, line) })
		switch {
		case i >= 0 && strings.Contains(line, `msg="files unchanged"`):
			s.rules[i].looks++
		case strings.Contains(line, `msg="inotify lost events`):
			s.overflows++
		}
	}
}

func (p *sidecar) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", p.pid(), name) }

func (p *sidecar) descriptors() int {
	entries, _ := os.ReadDir(p.proc("fd")) // none if it has ended
	return len(entries)
}

func (p *sidecar) watches() int {
	infos, _ := filepath.Glob(p.proc("fdinfo/*"))
	n := 0
	for _, info := range infos {
		b, _ := os.ReadFile(info) // a descriptor may be closed by now
		n += strings.Count(string(b), "inotify wd:")
	}
	return n
}

// late tells whether podsignal may have been so late since the last quiet point that what
// inotify and its timers told came in another order: it was stopped, or a thread has waited
// for a CPU (run_delay in the kernel's sched-stats.rst).
func (p *sidecar) late() bool {
	stats, _ := filepath.Glob(p.proc("task/*/schedstat")) // none: the kernel does not tell
	waited := make(map[string]time.Duration)
	late := p.stopped
	for _, stat := range stats {
		b, _ := os.ReadFile(stat) // a thread may have ended
		if fields := strings.Fields(string(b)); len(fields) > 1 {
			delay, _ := strconv.ParseInt(fields[1], 10, 64)
			waited[stat] = time.Duration(delay)
			late = late || waited[stat]-p.waited[stat] > quietTime
		}
	}
	p.stopped, p.waited = false, waited
	return late
}

// answer waits until each rule's loop answers: it has done by then what it was at,
// such as a search for targets.
func (p *sidecar) answer(s *soak) {
	if code, page := p.get(s, "/healthz"); code != http.StatusOK {
		s.fail("/healthz: %d\n%s", code, page)
	}
}

// measure reads what may grow. A tenth of the samples is for warming up.
func (p *sidecar) measure(s *soak) {
	b, err := os.ReadFile(p.proc("status"))
	check(s.t, err)
	var anon, threads int
	for line := range strings.Lines(string(b)) {
		_, _ = fmt.Sscanf(line, "RssAnon: %d kB", &anon)
		_, _ = fmt.Sscanf(line, "Threads: %d", &threads)
	}
	p.anon = append(p.anon, anon)
	const warm, growth, most = 10, 4 << 10, 20
	if len(p.anon) > warm && anon > p.anon[warm]+growth {
		s.fail("anonymous memory has grown from %d to %d KiB", p.anon[warm], anon)
	}
	if threads > most {
		s.fail("%d threads", threads)
	}
}

// quit makes podsignal tell its goroutines as it dies, and returns how many it has
// started. The runtime starts its own as it needs them.
func (s *soak) quit() int {
	p := s.sidecar
	p.log.resume() // the runtime, which tells them, would wait for a reader
	p.end(s, syscall.SIGQUIT)
	n := 0
	for _, line := range p.lines() {
		if strings.HasPrefix(line, "created by ") && !strings.HasPrefix(line, "created by runtime.") {
			n++
		}
	}
	if n == 0 {
		s.fail("podsignal did not tell its goroutines")
	}
	return n
}
