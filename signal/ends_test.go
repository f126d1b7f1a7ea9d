package signal

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// told tells whether an end has been told.
func told(finder *Finder) bool {
	select {
	case <-finder.Ended():
		return true
	default:
		return false
	}
}

func TestEnds(t *testing.T) {
	f := newFake(t, nginx(7), nginx(8), nginx(9))
	finder := f.finder(Options{})
	targets := found(t, finder)
	if told(finder) {
		t.Error("told before any has ended")
	}
	f.end(8)
	f.end(9)
	if !told(finder) || told(finder) {
		t.Error("two ends at once are not told once")
	}
	for i, want := range []bool{false, true, true} {
		if got := targets[i].Ended(); got != want {
			t.Errorf("pid %d has ended: %t", targets[i].PID, got)
		}
	}
	target := only(t, finder)
	f.end(7)
	if !told(finder) || !target.Ended() {
		t.Error("the last end is not told")
	}
	found(t, finder)
	if f.ended != nil {
		t.Error("ends are watched without a target")
	}
	f.procs[7] = nginx(7)
	if target = only(t, finder); !target.Watched() {
		t.Error("the successor is not watched")
	}
	f.end(7)
	if !told(finder) {
		t.Error("the successor's end is not told")
	}
}

// One that is a target no more ends without a word.
func TestEndsOfTargetsOnly(t *testing.T) {
	f := newFake(t, nginx(7), nginx(8))
	finder := f.finder(Options{})
	found(t, finder)
	f.procs[8].parent = 7
	only(t, finder)
	f.end(8)
	if told(finder) {
		t.Error("it is told")
	}
}

func TestWatched(t *testing.T) {
	for name, test := range map[string]struct {
		noPidfd, noEnds error
		want            bool
		later           bool // when all is well again
	}{
		"as usual":                 {nil, nil, true, true},
		"no pidfds":                {unix.ENOSYS, nil, false, false},
		"nothing to watch them by": {nil, unix.EMFILE, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nginx(7))
			f.noPidfd, f.noEnds = test.noPidfd, test.noEnds
			finder := f.finder(Options{})
			target := only(t, finder)
			if target.Watched() != test.want {
				t.Errorf("watched = %t", !test.want)
			}
			f.noPidfd, f.noEnds = nil, nil
			if again := only(t, finder); again != target || target.Watched() != test.later {
				t.Errorf("later watched = %t", target.Watched())
			}
		})
	}
}

// What cannot be read now has not ended: else the outcome of a signal would be died.
func TestEndedNeedsAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"gone":                {errGone, true},
		"hidden":              {os.ErrPermission, true},
		"no descriptors left": {unix.EMFILE, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nginx(7))
			target := only(t, f.finder(Options{}))
			f.sys.stat = func(int) (stat, error) { return stat{}, test.err }
			if target.Ended() != test.want {
				t.Errorf("ended = %t", !test.want)
			}
		})
	}
}

// The kernel tells of an end when there is still a zombie.
func TestRealEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	name := unique("a%s")
	first, second := script(t, name, scriptTraps), script(t, name, scriptTraps)
	finder := finderOf(name)
	targets := found(t, finder)
	if len(targets) != 2 || !targets[0].Watched() || !targets[1].Watched() {
		t.Fatalf("%d targets, of which not all are watched", len(targets))
	}
	await := func(p *program) {
		t.Helper()
		if told(finder) {
			t.Error("told too early")
		}
		_ = p.Process.Kill()
		select {
		case <-finder.Ended():
		case <-time.After(patience):
			t.Fatal("the end is not told")
		}
		i := slices.IndexFunc(targets, func(target *Target) bool { return target.PID == p.Process.Pid })
		if !targets[i].Ended() {
			t.Error("told, and it has not ended")
		}
	}
	await(first)
	if target := only(t, finder); target.PID != second.Process.Pid {
		t.Fatalf("found %d", target.PID)
	}
	await(second)
	if pids := foundPIDs(t, finder); pids != nil {
		t.Fatalf("found %d", pids)
	}
	until(t, "the goroutine has ended", func() bool { return runtime.NumGoroutine() <= before })
}

// Sends and searches go on while ends are told.
func TestRealEndsWhileUsed(t *testing.T) {
	name := unique("a%s")
	finder := finderOf(name)
	for range 20 {
		p := script(t, name, scriptTraps)
		target := only(t, finder)
		if err := target.Send(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		_ = p.Process.Kill()
		_ = p.Wait()
		_ = target.Send(unix.SIGHUP)
		if pids := foundNew(t, finder); pids != nil {
			t.Fatalf("found %d", pids)
		}
	}
}
