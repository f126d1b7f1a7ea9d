package signal

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// reported reports whether an end has been reported since the last call.
func reported(finder *Finder) bool {
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
	if reported(finder) {
		t.Error("reported before any has ended")
	}
	f.end(8)
	f.end(9)
	if !reported(finder) || reported(finder) {
		t.Error("two ends at once are not reported once")
	}
	for i, want := range []bool{false, true, true} {
		if got := targets[i].Ended(); got != want {
			t.Errorf("pid %d has ended: %t", targets[i].PID, got)
		}
	}
	target := only(t, finder)
	f.end(7)
	if !reported(finder) || !target.Ended() {
		t.Error("the last end is not reported")
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
	if !reported(finder) {
		t.Error("the successor's end is not reported")
	}
}

// The end of a process that is no longer a target is not reported.
func TestEndsOfTargetsOnly(t *testing.T) {
	f := newFake(t, nginx(7), nginx(8))
	finder := f.finder(Options{})
	found(t, finder)
	f.procs[8].parent = 7
	only(t, finder)
	f.end(8)
	if reported(finder) {
		t.Error("it is reported")
	}
}

func TestWatched(t *testing.T) {
	for name, test := range map[string]struct {
		noPidfd, noEnds error
		want            bool
		later           bool // when reading works again
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

// A process that is unreadable now has not ended: otherwise the outcome of a signal would be
// died.
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

// The kernel reports an end while there is still a zombie.
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
		if reported(finder) {
			t.Error("reported too early")
		}
		_ = p.Process.Kill()
		select {
		case <-finder.Ended():
		case <-time.After(patience):
			t.Fatal("the end is not reported")
		}
		i := slices.IndexFunc(targets, func(target *Target) bool { return target.PID == p.Process.Pid })
		if !targets[i].Ended() {
			t.Error("reported, and it has not ended")
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

// What is awaited is reported once, each time it is awaited, also by a descriptor that was
// another's before.
func TestRealAwait(t *testing.T) {
	name := unique("a%s")
	finder := finderOf(name)
	if err := finder.Await(0); err == nil {
		t.Error("awaited without a target")
	}
	script(t, name, scriptTraps)
	only(t, finder)
	const fd = 900
	for range 3 {
		pipe := make([]int, 2)
		if err := errors.Join(unix.Pipe2(pipe, unix.O_CLOEXEC), unix.Dup3(pipe[0], fd, unix.O_CLOEXEC)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time it is readable already
			if err := finder.Await(fd); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-finder.Ended():
			case <-time.After(patience):
				t.Fatal("it is not reported that it can be read")
			}
			if _, err := unix.Write(pipe[1], []byte("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // in which a second report would come
			if reported(finder) {
				t.Error("reported again")
			}
		}
		if err := errors.Join(unix.Close(fd), unix.Close(pipe[0]), unix.Close(pipe[1])); err != nil {
			t.Fatal(err)
		}
	}
}

// Sends and searches go on while ends are reported.
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
