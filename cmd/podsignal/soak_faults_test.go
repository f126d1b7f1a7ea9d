//go:build soak

package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An action is a change or a failure. It leaves all paths there, podsignal running
// and all targets going.
type action struct {
	name     string
	weight   int
	do       func(*soak)
	timed    bool // the signal follows at once, or after DEBOUNCE
	root     bool
	restarts bool // podsignal
}

var actions []action

func init() {
	actions = []action{
		{name: "swap", weight: 12, timed: true, do: func(s *soak) { s.swap(s.volume()) }},
		{name: "two volumes at once", weight: 5, timed: true, do: (*soak).twoSwaps},
		{name: "two volumes in a row", weight: 4, timed: true, do: (*soak).oneAfterAnother},
		{name: "update given up", weight: 4, do: (*soak).abort},
		{name: "kubelet dies before its last step", weight: 4, do: (*soak).unfinished},
		{name: "burst of swaps", weight: 3, do: (*soak).burst},
		{name: "change taken back", weight: 4, do: (*soak).back},
		{name: "same bytes or a touch", weight: 5, do: (*soak).touch},
		{name: "optional volume", weight: 2, do: func(s *soak) { s.swap("optional") }},
		{name: "file in pieces", weight: 4, timed: true, do: (*soak).pieces},
		{name: "file by rename", weight: 4, timed: true, do: (*soak).rename},
		{name: "file truncated and written", weight: 4, timed: true, do: (*soak).truncate},
		{name: "folder made anew", weight: 3, do: (*soak).newFolder},
		{name: "sub-folder comes or goes", weight: 4, timed: true, do: (*soak).subFolder},
		{name: "link re-pointed", weight: 4, timed: true, do: (*soak).link},
		{name: "link re-pointed and back", weight: 3, do: (*soak).linkAndBack},
		{name: "path away and back", weight: 4, do: (*soak).away},
		{name: "volume mounted anew", weight: 3, root: true, do: (*soak).remount},
		{name: "flood of events", weight: 1, do: func(s *soak) { s.quiet(); s.flood(2000) }},
		{name: "queue overflows", weight: 1, do: (*soak).overflow},
		{name: "URL does not accept", weight: 6, do: (*soak).urlFails},
		{name: "validator rejects, or hangs", weight: 6, do: (*soak).invalid},
		{name: "target starts", weight: 5, do: (*soak).targetStarts},
		{name: "target gets its name late", weight: 3, do: (*soak).targetNamedLate},
		{name: "target daemonizes", weight: 3, do: (*soak).targetDaemonizes},
		{name: "target dies", weight: 4, do: (*soak).targetDies},
		{name: "target dies while nothing changes", weight: 2, do: (*soak).targetForgotten},
		{name: "target stops for a while", weight: 3, do: (*soak).targetStops},
		{name: "target ignores the signal for a while", weight: 3, do: (*soak).targetIgnores},
		{name: "master dies and its worker lives", weight: 2, do: (*soak).orphan},
		{name: "podsignal stops for a while", weight: 3, do: (*soak).sidecarStops},
		{name: "log is not read, or again", weight: 4, do: (*soak).logStalls},
		{name: "clients ask for the pages", weight: 4, do: (*soak).clientsCome},
		{name: "podsignal is killed", weight: 3, restarts: true, do: (*soak).sidecarDies},
		{name: "podsignal is asked to end", weight: 2, restarts: true, do: (*soak).sidecarEnds},
	}
}

// validator is the command of a rule, which leaves a child behind.
const validator = `#!/bin/sh
cd %s
sleep 600 &
if test -e hang; then wait; fi
test ! -e reject
`

// invalid has the validator reject what it is given for a while, or hang until there is something
// newer.
func (s *soak) invalid() {
	fault := []string{"reject", "hang"}[s.IntN(2)]
	check(s.t, os.WriteFile(s.path(fault), nil, 0o644))
	for range 1 + s.IntN(3) {
		s.swap([]string{"v1", "v3"}[s.IntN(2)])
		s.rest(time.Duration(s.IntN(300)) * time.Millisecond)
	}
	check(s.t, os.Remove(s.path(fault)))
	s.swap("v3")
}

// overflow fills the queue while podsignal does not read it.
func (s *soak) overflow() {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	check(s.t, err)
	var most int
	_, err = fmt.Sscan(string(b), &most)
	check(s.t, err)
	if most > 100_000 {
		s.note("it would take too long")
		return
	}
	s.quiet()
	s.sidecar.stop(s)
	s.flood(most/2 + 1000)
	check(s.t, s.sidecar.Process.Signal(unix.SIGCONT))
}

// room has not too many targets.
func (s *soak) room() {
	if len(s.processes()) > 8 {
		s.targetDies()
	}
}

func (s *soak) targetStarts() {
	s.room()
	r := s.signalled()
	wait := ""
	var env []string
	if r.signal == "HUP" { // until it has a handler for another, a Go program would lose that
		if s.IntN(2) == 0 {
			wait = fmt.Sprintf("sleep %.2f;", s.Float64())
		}
		if s.IntN(2) == 0 {
			env = append(env, lateVar+"="+(time.Duration(s.IntN(1500))*time.Millisecond).String())
		}
	}
	s.startTarget(r, wait, append(env, s.forks()...)...)
}

// forks has a target have a worker or none.
func (s *soak) forks() []string {
	return [][]string{nil, nil, {forksVar + "=1"}, {forksVar + "=session"}}[s.IntN(4)]
}

// targetNamedLate starts a target of which the entrypoint has another name, and reads the
// files before a change; the program, which it becomes after it, has to be told.
func (s *soak) targetNamedLate() {
	s.room()
	r := s.hangUp()
	s.serial++
	gate := s.path(fmt.Sprintf("gate%d", s.serial))
	check(s.t, unix.Mkfifo(gate, 0o600))
	f, err := os.OpenFile(gate, os.O_RDWR, 0) // that waits for nobody
	check(s.t, err)
	defer f.Close()
	t, cmd := s.newTarget(r, "/bin/sh", `read -r go < "$GATE"; trap "" HUP; exec "$0"`,
		append(s.forks(), "GATE="+gate, loadedVar+"="+r.view(s))...)
	t.ended = s.start(cmd)
	s.swap("v2") // which all of these watch
	s.rest(time.Duration(s.IntN(3000)) * time.Millisecond)
	_, err = f.WriteString("go\n")
	check(s.t, err)
	s.await("it has its name", func() bool { return t.read(s).loaded != "" })
	if s.IntN(2) == 0 {
		s.quiet() // nothing that happens has podsignal look
	}
}

func (s *soak) targetDaemonizes() {
	s.room()
	lives := time.Duration(s.IntN(4)) * time.Duration(s.IntN(1000)) * time.Millisecond
	s.startDaemon(s.signalled(), lives, s.IntN(2) == 0, s.forks()...)
}

// oneTarget is one of those that are ready; nil: there is none.
func (s *soak) oneTarget() *target {
	processes := s.processes()
	for _, i := range s.Perm(len(processes)) {
		if t := processes[i].read(s); !t.ready.IsZero() {
			return t
		}
	}
	return nil
}

// lose ends a target, and with it its worker unless that is to stay.
func (s *soak) lose(t *target, sig syscall.Signal, worker bool) {
	s.note("end of pid %d", t.pid())
	t.read(s)
	if !worker && t.worker != 0 { // first: an orphan that podsignal has never seen as a worker is a root
		check(s.t, syscall.Kill(t.worker, syscall.SIGKILL))
	}
	t.end(s, sig)
	t.rule.sent += t.got
	t.rule.targets = slices.DeleteFunc(t.rule.targets, func(known *target) bool { return known == t })
	check(s.t, t.file.Close())
}

func (s *soak) targetDies() {
	t := s.oneTarget()
	if t == nil {
		return
	}
	change := s.IntN(3) == 0
	if change {
		s.swap(s.volume())
		s.rest(time.Duration(s.IntN(3000)) * time.Microsecond)
	}
	s.lose(t, []syscall.Signal{unix.SIGKILL, unix.SIGTERM}[s.IntN(2)], false)
	if s.IntN(3) > 0 {
		s.startTarget(t.rule, "")
	}
}

// targetForgotten ends a target that is then listed no more, at once and not only when
// podsignal looks for others: 1, 5 and 30 s after a change, where there is no RESYNC.
func (s *soak) targetForgotten() {
	s.quiet()
	s.rest(time.Until(s.end.Add(7 * time.Second)))
	t := s.oneTarget()
	if job := s.rules[2]; len(job.targets) > 0 && s.IntN(4) > 0 { // it has no RESYNC
		t = job.targets[s.IntN(len(job.targets))]
	}
	if t == nil {
		return
	}
	pid := t.pid()
	s.lose(t, unix.SIGKILL, false)
	begin := time.Now()
	s.await("a target that has ended is listed no more", func() bool { return !s.sidecar.status(s).lists(pid) })
	took := time.Since(begin)
	s.forgetting = max(s.forgetting, took)
	if took > 10*time.Second {
		s.fail("pid %d was listed for %v after its end", pid, took)
	}
}

func (s *soak) targetStops() {
	t := s.oneTarget()
	if t == nil {
		return
	}
	check(s.t, t.Process.Signal(unix.SIGSTOP))
	for range 1 + s.IntN(3) {
		s.swap(s.volume())
		s.rest(time.Duration(s.IntN(200)) * time.Millisecond)
	}
	check(s.t, t.Process.Signal(unix.SIGCONT))
}

// targetIgnores begins when no signal is on its way: between podsignal's look at
// the handler and its signal, nobody can tell.
func (s *soak) targetIgnores() {
	s.quiet()
	t := s.oneTarget()
	if t == nil {
		return
	}
	check(s.t, t.Process.Signal(deafen))
	s.await("the target ignores its signal", func() bool { return !t.read(s).hears })
	s.swap(s.volume())
	s.rest(time.Duration(s.IntN(1000)) * time.Millisecond)
	check(s.t, t.Process.Signal(ask))
	s.await("the target hears again", func() bool { return t.read(s).hears })
}

func (s *soak) orphan() {
	t := s.startTarget(s.signalled(), "", forksVar+"="+[]string{"1", "session"}[s.IntN(2)])
	s.await("it is ready", func() bool { return !t.read(s).ready.IsZero() })
	// While it is younger than START_GRACE, it may be a launcher that ends.
	s.await("it is no launcher", func() bool { return time.Since(t.ready) > startGrace })
	s.quiet() // podsignal has seen both
	s.lose(t, unix.SIGKILL, true)
	s.swap(s.volume())
	s.quiet()
	check(s.t, syscall.Kill(t.worker, syscall.SIGKILL))
	s.await("the worker is gone", func() bool {
		_, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", t.worker))
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || s.zombie(t.worker)
	})
}

func (s *soak) zombie(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return len(b) == 0
}

func (p *sidecar) stop(s *soak) {
	p.stopped = true
	check(s.t, p.Process.Signal(unix.SIGSTOP))
}

func (s *soak) sidecarStops() {
	s.sidecar.stop(s)
	for _, r := range s.rules {
		if r.process == "" && !r.calm {
			r.allow(1) // an answer that it finds too late has failed
		}
	}
	for range 1 + s.IntN(3) {
		s.act(s.plainAction())
	}
	check(s.t, s.sidecar.Process.Signal(unix.SIGCONT))
}

// plainAction is one that does not need podsignal.
func (s *soak) plainAction() action {
	names := []string{"swap", "same bytes or a touch", "file by rename", "folder made anew", "link re-pointed", "target dies"}
	name := names[s.IntN(len(names))]
	return actions[slices.IndexFunc(actions, func(a action) bool { return a.name == name })]
}

func (s *soak) sidecarDies() { s.sidecarRestarts(unix.SIGKILL) }

func (s *soak) sidecarEnds() { s.sidecarRestarts(unix.SIGTERM) }

func (s *soak) sidecarRestarts(sig syscall.Signal) {
	if s.IntN(2) == 0 {
		s.act(s.plainAction())
		s.rest(time.Duration(s.IntN(3000)) * time.Microsecond)
	}
	s.sidecar.read(s)
	begin := time.Now()
	s.sidecar.end(s, sig)
	if sig == unix.SIGTERM {
		s.stopping = max(s.stopping, time.Since(begin))
		if took := time.Since(begin); !s.sidecar.ProcessState.Success() || took > 5*time.Second {
			s.fail("podsignal ended with %v, %v after TERM", s.sidecar.ProcessState, took)
		}
	}
	check(s.t, s.sidecar.file.Close())
	if s.IntN(2) == 0 {
		s.act(s.plainAction())
	}
	s.startSidecar()
}
