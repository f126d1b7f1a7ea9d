package watcher

import (
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// After a stall of the process it is time to look, and events wait that came
// before: what they belong to may not be whole yet.
func TestStall(t *testing.T) {
	for _, test := range []struct {
		name   string
		before time.Duration // since the first event of the burst; 0: there is none
		event  string        // the one that waits; empty: none
		want   bool
	}{
		{"nothing waits", 150 * ms, "", true},
		{"an event waits", 150 * ms, "/d/file", false},
		{"an event waits, and the burst has lasted long enough", 2 * time.Second, "/d/file", true},
		{"an event waits that begins a burst", 0, "/d/file", false},
		{"an event waits that is of no concern", 0, "/d/other", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := New(Options{Debounce: 100 * ms})
				w.watched = map[string]*folder{"/d": {names: map[string]bool{"file": true}}}
				if test.before > 0 {
					w.burst.touch(time.Now())
					time.Sleep(test.before)
				}
				events := make(chan fsnotify.Event, 1)
				if test.event != "" {
					events <- fsnotify.Event{Name: test.event, Op: fsnotify.Write}
				}
				if got := w.timeUp(events); got != test.want {
					t.Errorf("look: %t, want %t", got, test.want)
				}
			})
		})
	}
}

// An event that comes late, because the node is busy, does not make half of a file
// the change: its ctime tells that it has not been quiet for long enough.
func TestLateEvent(t *testing.T) {
	late(t, []string{"file"}, func(r *rig, quiet time.Duration) {
		r.write("half")
		r.events <- fsnotify.Event{Name: filepath.Join(r.dir, "file"), Op: fsnotify.Write}
		time.Sleep(quiet / 2) // the burst would end in the middle of the writing
		r.write("half and half")
	})
}

// A swap whose events come late is not the end of the burst that was there before it: links
// of keys that are gone would be removed after the signal, and the same be signalled again.
func TestLateSwap(t *testing.T) {
	late(t, []string{"v", "w", "file"}, func(r *rig, quiet time.Duration) {
		r.events <- fsnotify.Event{Name: filepath.Join(r.dir, "file"), Op: fsnotify.Write}
		time.Sleep(quiet / 2)
		if err := volumetest.Write(filepath.Join(r.dir, "v"), volumetest.Files{"key": "1"}); err != nil {
			t.Fatal(err)
		}
	})
}

// late watches paths, plays a change of which not all events come, and wants the quiet time
// since then to be over before a snapshot shows it.
func late(t *testing.T, paths []string, play func(r *rig, quiet time.Duration)) {
	t.Helper()
	const quiet = 300 * ms
	r := &rig{t: t, dir: t.TempDir(), events: make(chan fsnotify.Event), errors: make(chan error)}
	r.write("0")
	r.volume("v")
	r.volume("w")
	options := Options{Debounce: quiet, Resync: time.Minute, Log: slog.New(slog.DiscardHandler)}
	for _, path := range paths {
		options.Paths = append(options.Paths, filepath.Join(r.dir, path))
	}
	w := New(options)
	w.open = r.open
	out := make(chan Snapshot)
	done := make(chan error)
	go func() { done <- w.Run(t.Context(), out) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	first := <-out

	play(r, quiet)
	played := time.Now()
	for s := range out {
		if s.Digest == first.Digest {
			continue // a look that was due
		}
		// The kernel's clock for ctimes is up to 10 ms late.
		if waited := time.Since(played); waited < quiet-10*ms {
			t.Errorf("taken for whole %v after it was written, want at least %v", waited, quiet)
		}
		return
	}
}
