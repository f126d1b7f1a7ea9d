package watcher

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A reader is busy: it takes a snapshot only when the test says so.
func busy(t *testing.T, play func(r *rig, out <-chan Snapshot)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dir: dir, events: make(chan fsnotify.Event), errors: make(chan error)}
		r.write("0")
		w := New(Options{Paths: []string{dir + "/file"}, Debounce: 100 * ms, Resync: time.Hour, Log: slog.New(slog.DiscardHandler)})
		w.open, r.watcher = r.open, w
		out := make(chan Snapshot)
		go func() { _ = w.Run(t.Context(), out) }()
		time.Sleep(time.Second)
		if s := offered(t, out); !s.Stirred.IsZero() || s.Unsettled {
			t.Errorf("the first snapshot: %+v", s)
		}
		r.began = time.Now()
		play(r, out)
	})
}

// offered is the snapshot that is offered now.
func offered(t *testing.T, out <-chan Snapshot) Snapshot {
	t.Helper()
	synctest.Wait()
	select {
	case s := <-out:
		return s
	default:
		t.Fatal("no snapshot is offered")
		return Snapshot{}
	}
}

func notOffered(t *testing.T, out <-chan Snapshot) {
	t.Helper()
	synctest.Wait()
	select {
	case s := <-out:
		t.Fatalf("a snapshot is offered in the middle of a change: %+v", s)
	default:
	}
}

// D2: a snapshot that nobody has taken before the next change began would lead to a
// signal in the middle of that.
func TestOldSnapshot(t *testing.T) {
	busy(t, func(r *rig, out <-chan Snapshot) {
		r.write("1")
		r.event(fsnotify.Write, "file")
		time.Sleep(time.Second) // it is settled
		r.write("2")
		r.event(fsnotify.Write, "file")
		notOffered(t, out)
		time.Sleep(101 * ms)
		s := offered(t, out)
		if at := s.Stirred.Sub(r.began); at != 0 || s.Unsettled {
			t.Errorf("stirred at %v, want 0s: the first change was not seen by the reader; unsettled: %t", at, s.Unsettled)
		}
		time.Sleep(time.Second)
		r.event(fsnotify.Chmod, "file")
		time.Sleep(101 * ms)
		if s := offered(t, out); !s.Stirred.IsZero() {
			t.Errorf("stirred at %v after a touch", s.Stirred.Sub(r.began))
		}
	})
}

// W4: files that never stop changing are delivered all the same.
func TestUnsettled(t *testing.T) {
	busy(t, func(r *rig, out <-chan Snapshot) {
		for i := range 60 {
			r.write(time.Duration(i).String())
			r.event(fsnotify.Write, "file")
			if i == 30 {
				if s := offered(t, out); !s.Unsettled || s.Stirred != r.began {
					t.Errorf("unsettled: %t, stirred at %v; want true, 0s", s.Unsettled, s.Stirred.Sub(r.began))
				}
				notOffered(t, out)
			}
			time.Sleep(80 * ms)
		}
		// At the limit again, and after that quiet: the later look counts.
		time.Sleep(time.Second)
		if s := offered(t, out); s.Unsettled || s.Stirred.IsZero() {
			t.Errorf("unsettled: %t, stirred at %v; want false, and a time", s.Unsettled, s.Stirred)
		}
	})
}

// Events that were lost may have been of a change.
func TestLostEventsStir(t *testing.T) {
	busy(t, func(r *rig, out <-chan Snapshot) {
		r.errors <- fsnotify.ErrEventOverflow
		synctest.Wait()
		if !r.watcher.Settling() {
			t.Error("after lost events nothing seems to be changing")
		}
		notOffered(t, out)
		time.Sleep(101 * ms)
		if s := offered(t, out); s.Stirred != r.began {
			t.Errorf("stirred at %v, want 0s", s.Stirred.Sub(r.began))
		}
	})
}

// The kubelet's last step comes late on a busy node. It changes nothing of what is shown,
// unlike the swap.
func TestLateLastStep(t *testing.T) {
	settle(t, []string{"v"}, func(r *rig) { r.volume("v") }, func(r *rig) {
		stirred := func(when string, want bool) {
			synctest.Wait()
			if got := !r.last.Load().Stirred.IsZero(); got != want {
				t.Errorf("%s: stirred = %t, want %t", when, got, want)
			}
		}
		u := r.begin("v")
		time.Sleep(time.Second)
		stirred("a new folder", false)
		r.swap("v", u)
		time.Sleep(time.Second)
		stirred("the swap", true)
		r.finish("v", u)
		time.Sleep(time.Second)
		stirred("the last step, a second later", false)
	})
}
