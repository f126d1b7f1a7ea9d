//go:build soak

package main_test

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
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

func (e *ended) mustLive(s *soak, what string) {
	select {
	case <-e.gone:
		s.fail("%s, pid %d, ended: %v", what, e.pid(), e.ProcessState)
	default:
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
	cmd.Env = []string{roleVar + "=" + role, dirVar + "=" + s.dir}
	s.bystanders = append(s.bystanders, s.start(cmd))
}

// A target is a child that notes what it loads.
type target struct {
	*ended // nil: it is called, and no child
	tail
	rule    *rule
	said    []string
	loaded  string    // when it started or at its last signal or call
	arrived time.Time // that
	ready   time.Time // since then it has a handler
	hears   bool      // it has answered since it was asked
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
	s.serial++
	notes, err := os.Create(s.path(fmt.Sprintf("notes%d", s.serial)))
	check(s.t, err)
	sh := "/bin/sh"
	if s.IntN(2) == 0 {
		sh = s.path("sh/" + r.process)
	}
	cmd := exec.Command(sh, "-c", wait+` trap "" `+r.signal+`; exec "$0"`, s.path(r.process))
	cmd.Env = append([]string{
		roleVar + "=target", dirVar + "=" + s.dir, filesVar + "=" + strings.Join(r.watched, ","),
		notesVar + "=" + notes.Name(), signalVar + "=" + r.signal, "PATH=/usr/bin:/bin",
	}, env...)
	t := &target{rule: r, tail: tail{file: notes}}
	// What started while files changed may have read what was before.
	if !r.calm {
		t.allowed = 1
	}
	t.ended = s.start(cmd)
	r.targets = append(r.targets, t)
	s.note("started pid %d for %s: %s %s", t.pid(), r.name, wait, strings.Join(env, " "))
	return t
}

func (t *target) read(s *soak) *target {
	if t.ended != nil {
		t.mustLive(s, "target")
	}
	for _, line := range t.lines() {
		at, line, _ := strings.Cut(line, " ")
		what, more, _ := strings.Cut(line, " ")
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
	said    []string
	address string // of its pages
	anon    []int  // anonymous memory at each quiet point, in KiB
}

func (s *soak) startSidecar() {
	s.sidecars++
	log, err := os.Create(s.path(fmt.Sprintf("podsignal%d.log", s.sidecars)))
	check(s.t, err)
	writer, err := os.OpenFile(log.Name(), os.O_WRONLY|os.O_APPEND, 0)
	check(s.t, err)
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
		r.looks, r.digest, r.applied = 0, "", make(map[int]string)
		// Nothing is persisted: what is older than the last change gets one more.
		r.allow(1)
	}
	cmd.Env = append(cmd.Env, "RULES="+strings.Join(names, ","))
	var said []string
	if s.sidecar != nil {
		said = slices.Concat(s.sidecar.said, []string{"podsignal starts anew"})
	}
	s.sidecar = &sidecar{ended: s.start(cmd), tail: tail{file: log}, said: said}
	s.note("started podsignal, pid %d", s.sidecar.pid())
}

var (
	ruleAttr    = regexp.MustCompile(` rule=(\w+)`)
	addressAttr = regexp.MustCompile(` msg=listening address=(\S+)`)
	digestAttr  = regexp.MustCompile(` digest=(\w+)`)
	pidAttr     = regexp.MustCompile(` pid=(\d+)`)
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
		i := slices.IndexFunc(s.rules, func(r *rule) bool { return r.name == attr(ruleAttr, line) })
		if i < 0 {
			continue
		}
		r, digest := s.rules[i], attr(digestAttr, line)
		pid, _ := strconv.Atoi(attr(pidAttr, line)) // 0: it has none
		switch {
		case strings.Contains(line, `msg="looked: no change"`):
			r.looks++
			r.digest = digest
		case strings.Contains(line, `msg="process found"`):
			delete(r.applied, pid)
		case strings.Contains(line, `msg=signalled `), strings.Contains(line, `msg="no signal:`),
			strings.Contains(line, `msg=called `), strings.Contains(line, `msg="no call:`):
			r.applied[pid] = digest
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

// answer waits until each rule's loop answers: it has done by then what it was at,
// such as a search for targets.
func (p *sidecar) answer(s *soak) {
	s.await("podsignal listens", func() bool { p.read(s); return p.address != "" })
	conn, err := net.DialTimeout("tcp", p.address, soakDeadline)
	check(s.t, err)
	defer conn.Close()
	check(s.t, conn.SetDeadline(time.Now().Add(soakDeadline)))
	_, err = io.WriteString(conn, "GET /healthz HTTP/1.0\r\n\r\n")
	check(s.t, err)
	page, err := io.ReadAll(conn) // until it is closed, so that no descriptor is left
	if err != nil || !strings.HasPrefix(string(page), "HTTP/1.0 200 ") {
		s.fail("/healthz: %v\n%s", err, page)
	}
}

// measure looks at what may grow. A tenth of the samples is for warming up.
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
