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
	// soakDeadline is for what must happen, on a busy machine.
	soakDeadline = 20 * time.Second

	// quietTime is DEBOUNCE. A step that took longer than half of it may show.
	quietTime = 100 * time.Millisecond
)

// A soak is a random mixture of faults, by a seed, against the real podsignal and
// several targets. At every quiet point all promises are checked.
type soak struct {
	*rand.Rand
	t    *testing.T
	dir  string
	name string // of the target processes

	sidecar    *sidecar
	sidecars   int
	targets    []*target
	bystanders []*ended
	volumes    map[string]map[string]string // what each shows
	serial     int                          // the newest content
	calm       bool                         // nothing has been changed since the last quiet point
	end        time.Time                    // of the last change
	slow       bool                         // a step of this change took so long that it may show
	paused     time.Duration                // between its steps, on purpose
	steady     bool                         // podsignal is not restarted any more

	history               []string
	caused                map[string]int // faults
	changes, sent, quiets int
	overflows, slowed     int
	worst                 map[string]time.Duration // from a change of that kind to the last target's signal
	watches               int                      // more than the folders that must be watched
	descriptors           int                      // more than one for each target
	stopping              time.Duration            // the longest
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
		Rand: rand.New(rand.NewPCG(seed, 0)), t: t, dir: t.TempDir(), name: fmt.Sprintf("soak%d", os.Getpid()),
		watches: math.MaxInt, descriptors: math.MaxInt, // until they are known
		volumes: make(map[string]map[string]string), caused: make(map[string]int), worst: make(map[string]time.Duration),
	}
	s.build()
	t.Cleanup(s.clear)
	if os.Geteuid() == 0 {
		s.mount()
	} else {
		t.Log("no volume is unmounted: that needs root")
	}
	for _, v := range []string{"v1", "v2", "secret"} {
		s.swap(v)
	}
	for _, name := range []string{"plain/one", "plain/two", "plain/sub/three", "real0/sub/conf", "real1/sub/conf"} {
		s.write(name, s.content())
	}
	check(t, os.Symlink("real0", s.path("link")))
	s.standBy(s.name+"x", "listener")
	s.standBy(s.name[:len(s.name)-1], "helpless")
	s.standBy("other", "listener", s.name)
	s.startSidecar()
	s.quiet()
	s.descriptors, s.watches = s.sidecar.descriptors(), s.sidecar.watches()-folders(s.dir)
	goroutines := s.quit()
	s.startSidecar()
	s.startTarget("")
	s.startTarget("")
	s.quiet()

	for begin := time.Now(); time.Since(begin) < length; {
		if time.Since(begin) > length/2 && !s.steady {
			s.steady, s.sidecar.anon = true, nil
		}
		for range 1 + s.IntN(4) {
			a := s.pick()
			calm := s.calm
			s.act(a)
			if a.timed && calm && s.IntN(2) == 0 {
				s.quiet()
				s.time(a.name)
			}
			s.rest(time.Duration(s.IntN(20)) * time.Millisecond)
		}
		s.quiet()
	}
	s.report()
	if left := s.quit(); left > goroutines {
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
	want := view(s.dir)
	s.await("every target is ready and runs "+want, func() bool {
		return !slices.ContainsFunc(s.targets, func(t *target) bool { return t.read(s).loaded != want || t.ready.IsZero() })
	})
	// Two looks that began after all that was done, and a target that is no longer
	// behind them, mean that nothing is pending.
	for range 2 {
		looks := s.sidecar.read(s).looks
		now := time.Now()
		check(s.t, os.Chtimes(s.path("plain/one"), now, now))
		s.await("podsignal looks", func() bool { return s.sidecar.read(s).looks > looks })
	}
	s.await("podsignal is done with each target", func() bool {
		p := s.sidecar.read(s)
		return !slices.ContainsFunc(s.targets, func(t *target) bool { return p.applied[t.pid()] != p.digest })
	})
	// HUP has a lower number: a target that has answered to USR2 has noted all
	// that was sent to it before.
	for _, t := range s.targets {
		t.hears = false
		check(s.t, t.Process.Signal(unix.SIGUSR2))
	}
	s.await("every target answers", func() bool {
		return !slices.ContainsFunc(s.targets, func(t *target) bool { return !t.read(s).hears })
	})
	s.quiets++
	for _, t := range s.targets {
		if t.got > t.allowed {
			s.fail("pid %d got %d signals since the last quiet point, at most %d are right", t.pid(), t.got, t.allowed)
		}
		s.sent += t.got
		t.got, t.allowed = 0, 0
	}
	if b, _ := os.ReadFile(s.path(misdirected)); len(b) > 0 {
		s.fail("signals to others than targets:\n%s", b)
	}
	for _, b := range s.bystanders {
		b.mustLive(s, "bystander")
	}
	s.await("podsignal closes what it does not need", func() bool {
		return s.sidecar.watches()-folders(s.dir) <= s.watches && s.sidecar.descriptors()-len(s.targets) <= s.descriptors
	})
	s.sidecar.measure(s)
	s.calm = true
}

// change makes edit change something. What is seen of it may be one change, and
// more only if its steps were so slow that each had time to count for itself.
func (s *soak) change(edit func()) {
	before, begin := view(s.dir), time.Now()
	s.slow, s.paused = false, 0
	edit()
	s.end = time.Now()
	took := s.end.Sub(begin)
	allowed := 0
	if view(s.dir) != before {
		allowed = 1
	}
	if s.slow || took-s.paused > quietTime/2 {
		allowed += 1 + int(took/quietTime)
		s.slowed++
		s.note("the last one was slow: %v", took)
	}
	s.allow(allowed)
	s.changes += allowed
}

func (s *soak) allow(n int) {
	s.calm = false
	for _, t := range s.targets {
		t.allowed += n
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
	for _, t := range s.targets {
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
		s.sidecar.watches(), folders(s.dir), s.watches, s.sidecar.descriptors(), len(s.targets), s.descriptors)
	for _, t := range s.targets {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", t.pid()))
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.pid()))
		s.t.Logf("pid %d (%s), %s, %d signals of %d allowed: %s", t.pid(), strings.TrimSpace(string(comm)),
			regexp.MustCompile(`State:.*|Sig(Blk|Ign|Cgt):.*`).FindAll(state, -1), t.got, t.allowed, strings.Join(t.said[max(0, len(t.said)-8):], "\n\t"))
	}
	s.sidecar.said = append(s.sidecar.said, s.sidecar.lines()...)
	log := strings.Join(s.sidecar.said[max(0, len(s.sidecar.said)-60):], "\n")
	s.t.Logf("podsignal, pid %d:\n%s", s.sidecar.pid(), regexp.MustCompile(` file=\S+ process=\S+`).ReplaceAllString(log, ""))
	s.t.Logf("files: %s", view(s.dir))
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
	anon := s.sidecar.anon
	s.t.Logf("%d quiet points, %d changes (%d steps so slow that more signals were right), %d signals, %d starts of podsignal, %d overflows of inotify, at most %v to stop; anonymous memory %d KiB at half-time, %d at the end, %d at most",
		s.quiets, s.changes, s.slowed, s.sent, s.sidecars, s.overflows, s.stopping.Round(time.Millisecond), anon[0], anon[len(anon)-1], slices.Max(anon))
}

func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }

// build makes podsignal, and the processes by the names that they are to have.
func (s *soak) build() {
	out, err := exec.CommandContext(s.t.Context(), "go", "build", "-o", s.path("podsignal"), ".").CombinedOutput()
	if err != nil {
		s.t.Fatalf("go build: %v\n%s", err, out)
	}
	check(s.t, os.Mkdir(s.path("sh"), 0o755))
	check(s.t, os.Symlink("/bin/sh", s.path("sh/"+s.name)))
	self, err := os.Executable()
	check(s.t, err)
	check(s.t, os.Symlink(self, s.path(s.name)))
}

// mount gives the secret a file system of its own, as the kubelet does.
func (s *soak) mount() {
	check(s.t, os.MkdirAll(s.path("secret"), 0o755))
	check(s.t, unix.Mount("soak", s.path("secret"), "tmpfs", 0, "size=1m"))
}

func (s *soak) unmount() error { return unix.Unmount(s.path("secret"), unix.MNT_DETACH) }

func (s *soak) clear() {
	for _, b := range s.bystanders {
		_ = b.Process.Kill()
	}
	for _, t := range s.targets {
		_ = t.Process.Signal(syscall.SIGKILL)
		if t.worker != 0 {
			_ = syscall.Kill(t.worker, syscall.SIGKILL)
		}
	}
	_ = s.sidecar.Process.Kill()
	_ = s.unmount()
}
