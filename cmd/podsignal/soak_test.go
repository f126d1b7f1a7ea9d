//go:build soak

package main_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// soakDeadline is for what must happen, on a busy machine. A target that gets its name
	// late is found within 30 s after the change.
	soakDeadline = time.Minute

	// quietTime is DEBOUNCE. A step that took longer than half of it may show.
	quietTime = 100 * time.Millisecond

	// readWindow is how long after a signal a target may still be reading, which is a
	// second for podsignal, and one more for what it is late on a busy machine.
	readWindow = 2 * time.Second
)

// A soak is a random mixture of failures, by a seed, against the real podsignal and
// several targets of several rules. At every quiet point all promises are checked.
type soak struct {
	*rand.Rand
	t      *testing.T
	dir    string
	rules  []*rule
	server *server
	url    string // that leads to it

	sidecar    *sidecar
	sidecars   int
	clients    *clients // of its pages; nil: there are none
	launchers  []*ended // of daemons
	bystanders []*ended
	volumes    map[string]map[string]string // what each shows
	serial     int                          // the newest content
	approved   string                       // what the file of HOLD has
	end        time.Time                    // of the last change
	slow       bool                         // a step of this change took so long that it may show
	paused     time.Duration                // between its steps, on purpose
	steady     bool                         // podsignal is not restarted any more

	history           []string
	caused            map[string]int // failures
	changes, quiets   int
	overflows, slowed int
	lates             int                      // quiet points up to which podsignal was late
	worst             map[string]time.Duration // from a change of that kind to the last target's signal
	watches           int                      // more than the folders that must be watched
	descriptors       int                      // more than one for each target, and for each rule with targets
	stopping          time.Duration            // the longest
	forgetting        time.Duration            // the longest until a target that has ended is listed no more
	requests          int                      // of the pages
	dropped           int                      // lines of the log
}

// TestSoak takes its length from SOAK and its seed from SEED.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		check(t, err)
	}
	t.Logf("SEED=%d SOAK=%s", seed, length)
	s := &soak{
		Rand: rand.New(rand.NewPCG(seed, 0)), t: t, dir: t.TempDir(),
		watches: math.MaxInt, descriptors: math.MaxInt, // until they are known
		volumes: make(map[string]map[string]string), caused: make(map[string]int), worst: make(map[string]time.Duration),
	}
	s.addRules()
	s.build()
	t.Cleanup(s.clear)
	for _, name := range []string{"plain/one", "plain/two", "plain/sub/three", "real0/sub/conf", "real1/sub/conf"} {
		s.write(name, s.content())
	}
	check(t, os.Symlink("real0", s.path("link")))
	if os.Geteuid() == 0 {
		s.mountSecret()
		s.mountMirror()
	} else {
		t.Log("no volume is unmounted, and no folder mounted twice: that needs root")
		check(t, os.Symlink("real1", s.path("mirror")))
	}
	for _, v := range []string{"v1", "v2", "v3", "secret"} {
		s.swap(v)
	}
	web := s.rules[0]
	s.standBy(web.process+"x", "listener")
	s.standBy(web.process[:len(web.process)-1], "helpless")
	s.standBy("other", "listener", web.process)
	s.serve(s.rules[len(s.rules)-1])
	s.approve()
	s.startSidecar()
	s.quiet()
	s.descriptors, s.watches = s.sidecar.descriptors(), s.sidecar.watches()-s.folders()
	goroutines := s.quit()
	s.startSidecar()
	for _, r := range s.signalling() {
		s.startTarget(r, "")
		s.startTarget(r, "")
	}
	s.quiet()

	for begin := time.Now(); time.Since(begin) < length; {
		if time.Since(begin) > length/2 && !s.steady {
			s.steady, s.sidecar.anon = true, nil
		}
		for range 1 + s.IntN(4) {
			a := s.pick()
			calm := s.calm()
			s.act(a)
			if a.timed && calm && s.IntN(2) == 0 && !s.sidecar.log.stalled { // else it is another change that is timed
				s.quiet()
				s.time(a.name)
			}
			s.rest(time.Duration(s.IntN(20)) * time.Millisecond)
		}
		s.quiet()
	}
	s.clientsLeave()
	s.quiet()
	s.report()
	more := s.withTargets() + 1 // each has one that waits for their end, and VALIDATE one
	if left := s.quit() - more; left > goroutines {
		s.t.Errorf("%d goroutines, at the start there were %d", left, goroutines)
	}
}

func (s *soak) pick() action {
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	for {
		n := s.IntN(total)
		i := slices.IndexFunc(actions, func(a action) bool { n -= a.weight; return n < 0 })
		a := actions[i]
		if a.restarts && s.steady || a.root && os.Geteuid() != 0 {
			continue
		}
		return a
	}
}

func (s *soak) act(a action) {
	s.note("%s", a.name)
	s.caused[a.name]++
	a.do(s)
}

// quiet waits until podsignal has nothing left to do, and checks what it has done.
func (s *soak) quiet() {
	s.await("every target is ready and runs what its rule shows", s.upToDate)
	// Two looks that began after all that was done, and no target that is behind them,
	// mean that nothing is pending.
	for range 2 {
		if s.sidecar.log.stalled {
			s.mark()
		} else {
			s.look()
		}
	}
	s.await("podsignal is done with each target, and has no other", func() bool { return s.upToDate() && s.sidecar.status(s).done(s) })
	s.sidecar.answer(s)
	s.ask()
	s.quiets++
	late := s.sidecar.late()
	if late {
		s.lates++
	}
	for _, r := range s.rules {
		for _, t := range r.targets {
			if late { // it may have taken a late event of a change for another, and told that once more
				t.allowed *= 2
			}
			if t.read(s).got > t.allowed {
				s.fail("rule %s: pid %d was told %d times since the last quiet point, at most %d are right", r.name, t.pid(), t.got, t.allowed)
			}
			r.sent += t.got
			t.got, t.allowed, t.known = 0, 0, true
		}
		r.calm, r.stirred = true, false
	}
	if b, _ := os.ReadFile(s.path(misdirected)); len(b) > 0 {
		s.fail("what nobody may get:\n%s", b)
	}
	for _, b := range s.bystanders {
		b.mustLive(s, "bystander")
	}
	if s.clients != nil && s.IntN(3) > 0 {
		return // who asks takes descriptors
	}
	s.clientsLeave()
	s.await("podsignal closes what it does not need", func() bool {
		return s.sidecar.watches()-s.folders() <= s.watches && s.sidecar.descriptors()-s.pidfds() <= s.descriptors
	})
	s.sidecar.measure(s)
}

// ask has every target that is ready answer. Its own signal has a lower number: it has
// noted by then all that was sent to it before.
func (s *soak) ask() {
	asked := slices.DeleteFunc(s.processes(), func(t *target) bool { return t.read(s).ready.IsZero() })
	for _, t := range asked {
		t.hears = false
		check(s.t, t.Process.Signal(ask))
	}
	s.await("every target answers", func() bool {
		return !slices.ContainsFunc(asked, func(t *target) bool { return !t.read(s).hears })
	})
}

// look has podsignal look, at a touch that is no change.
func (s *soak) look() {
	s.sidecar.read(s)
	looks := make(map[*rule]int)
	for _, r := range s.rules {
		looks[r] = r.looks
	}
	var touched time.Time
	s.await("podsignal looks", func() bool {
		s.sidecar.read(s)
		behind := slices.DeleteFunc(slices.Clone(s.rules), func(r *rule) bool { return r.looks > looks[r] })
		if time.Since(touched) > time.Second { // again: podsignal may have just started, or reported a change
			touched = time.Now()
			for _, r := range behind {
				check(s.t, os.Chtimes(s.path(r.touched), touched, touched))
			}
		}
		return len(behind) == 0
	})
}

// mark is look while the log tells nothing: of a change it is seen that podsignal has
// looked. It is small and whole at once.
func (s *soak) mark() {
	s.change(func() {
		for _, name := range s.touched() {
			s.write("new", s.content())
			check(s.t, os.Rename(s.path("new"), s.path(name)))
		}
	}, "plain", "real1")
	s.await("every target runs what its rule shows after a change", s.upToDate)
}

func (s *soak) upToDate() bool {
	for _, r := range s.rules {
		want := r.view(s)
		if slices.ContainsFunc(r.targets, func(t *target) bool { return t.read(s).loaded != want || t.ready.IsZero() }) {
			return false
		}
	}
	return true
}

// change makes edit change something. What is seen of it may be one change, and
// more only if its steps were so slow that each had time to count for itself. Where names
// that a rule watches have something else than new attributes, its targets may be told
// though it ends as it was: those that may have read what was there meanwhile.
func (s *soak) change(edit func(), names ...string) {
	before, begin := s.views(), time.Now()
	s.slow, s.paused = false, 0
	edit()
	s.end = time.Now()
	took := s.end.Sub(begin)
	bursts, more := 1+int(took/quietTime), 0
	if s.slow || took-s.paused > quietTime/2 {
		more = bursts
		s.slowed++
		s.note("the last one was slow: %v", took)
	}
	after := s.views()
	for i, r := range s.rules {
		switch {
		case after[i] != before[i]:
			r.allow(1 + more)
			s.changes++
		case more > 0:
			r.allow(more)
		case r.watches(names):
			r.allowReading(bursts, begin)
		}
	}
}

// step is a pause between two steps of a change that belong together.
func (s *soak) step(most time.Duration) {
	begin := time.Now()
	time.Sleep(time.Duration(s.Int64N(int64(most))))
	s.paused += time.Since(begin)
	s.slow = s.slow || time.Since(begin) > quietTime/2
}

// rest is a pause after which all may have been noticed that was done before.
func (s *soak) rest(d time.Duration) {
	begin := time.Now()
	time.Sleep(d)
	s.paused += time.Since(begin)
}

// time notes how long the last change took to reach the last target.
func (s *soak) time(kind string) {
	for _, t := range s.processes() {
		if t.arrived.After(s.end) && s.end.Sub(t.ready) > time.Second && !t.ready.IsZero() {
			s.worst[kind] = max(s.worst[kind], t.arrived.Sub(s.end))
		}
	}
}

func (s *soak) note(format string, args ...any) {
	s.history = append(s.history, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (s *soak) await(what string, done func() bool) {
	for end := time.Now().Add(soakDeadline); !done(); time.Sleep(5 * time.Millisecond) {
		s.approve()
		if time.Now().After(end) {
			s.fail("waited %s in vain until %s", soakDeadline, what)
		}
	}
}

func (s *soak) fail(format string, args ...any) {
	s.t.Helper()
	for _, line := range s.history[max(0, len(s.history)-40):] {
		s.t.Log(line)
	}
	s.t.Logf("%d watches for %d folders, at most %d more are right; %d descriptors for %d targets, at most %d more are right",
		s.sidecar.watches(), s.folders(), s.watches, s.sidecar.descriptors(), s.pidfds(), s.descriptors)
	for _, t := range s.targets() {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", t.pid()))
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.pid()))
		s.t.Logf("%s: pid %d (%s), %s, told %d times, %d allowed: %s", t.rule.name, t.pid(), strings.TrimSpace(string(comm)),
			regexp.MustCompile(`State:.*|Sig(Blk|Ign|Cgt):.*`).FindAll(state, -1), t.got, t.allowed, strings.Join(t.said[max(0, len(t.said)-8):], "\n\t"))
	}
	s.sidecar.log.resume()
	time.Sleep(100 * time.Millisecond) // for what is in the pipe
	s.sidecar.said = append(s.sidecar.said, s.sidecar.lines()...)
	log := strings.Join(s.sidecar.said[max(0, len(s.sidecar.said)-60):], "\n")
	s.t.Logf("podsignal, pid %d:\n%s", s.sidecar.pid(), regexp.MustCompile(` (file|process)=\S+`).ReplaceAllString(log, ""))
	s.t.Logf("files: %s", strings.Join(s.views(), "\n"))
	s.t.Fatalf(format, args...)
}

func (s *soak) report() {
	for _, name := range slices.Sorted(maps.Keys(s.caused)) {
		line := fmt.Sprintf("%5d  %s", s.caused[name], name)
		if worst, ok := s.worst[name]; ok {
			line += fmt.Sprintf(" (at most %v to the signal)", worst.Round(10*time.Microsecond))
		}
		s.t.Log(line)
	}
	var sent []string
	for _, r := range s.rules {
		sent = append(sent, fmt.Sprintf("%d by %s", r.sent, r.name))
	}
	anon := s.sidecar.anon
	s.t.Logf("%d quiet points (up to %d of them podsignal was late), %d changes (%d steps so slow that more signals were right), signals and calls: %s; %d starts of podsignal, %d overflows of inotify, at most %v to stop; anonymous memory %d KiB at half-time, %d at the end, %d at most",
		s.quiets, s.lates, s.changes, s.slowed, strings.Join(sent, ", "), s.sidecars, s.overflows, s.stopping.Round(time.Millisecond), anon[0], anon[len(anon)-1], slices.Max(anon))
	s.t.Logf("%d requests of the pages, %d lines of the log dropped, at most %v until a target that had ended was listed no more",
		s.requests, s.dropped, s.forgetting.Round(time.Millisecond))
}

func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }

// build makes podsignal, and the processes by the names that they are to have.
func (s *soak) build() {
	out, err := exec.CommandContext(s.t.Context(), "go", "build", "-o", s.path("podsignal"), ".").CombinedOutput()
	if err != nil {
		s.t.Fatalf("go build: %v\n%s", err, out)
	}
	check(s.t, os.WriteFile(s.path("validator"), []byte(fmt.Sprintf(validator, s.dir)), 0o755))
	check(s.t, os.Mkdir(s.path("sh"), 0o755))
	self, err := os.Executable()
	check(s.t, err)
	for _, r := range s.signalling() {
		check(s.t, os.Symlink("/bin/sh", s.path("sh/"+r.process)))
		check(s.t, os.Symlink(self, s.path(r.process)))
	}
}

// mountMirror shows a folder by a second path.
func (s *soak) mountMirror() {
	check(s.t, os.Mkdir(s.path("mirror"), 0o755))
	check(s.t, unix.Mount(s.path("real1"), s.path("mirror"), "", unix.MS_BIND, ""))
}

// mountSecret gives the secret a file system of its own, as the kubelet does.
func (s *soak) mountSecret() {
	check(s.t, os.MkdirAll(s.path("secret"), 0o755))
	check(s.t, unix.Mount("soak", s.path("secret"), "tmpfs", 0, "size=1m"))
}

func (s *soak) unmount(name string) error { return unix.Unmount(s.path(name), unix.MNT_DETACH) }

func (s *soak) clear() {
	for _, b := range s.bystanders {
		_ = b.Process.Kill()
	}
	for _, t := range s.processes() {
		if t.ended == nil {
			continue
		}
		_ = t.Process.Signal(syscall.SIGKILL)
		if t.worker != 0 {
			_ = syscall.Kill(t.worker, syscall.SIGKILL)
		}
	}
	for _, l := range s.launchers {
		_ = l.Process.Kill()
	}
	if c := s.clients; c != nil {
		close(c.leave)
	}
	_ = s.sidecar.Process.Kill()
	_ = s.unmount("secret")
	_ = s.unmount("mirror")
}
