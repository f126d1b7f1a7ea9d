package watcher

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
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
