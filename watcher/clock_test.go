package watcher

import (
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The clock has been set back: all ctimes lie in the future, here by many years,
// since a bubble's time begins in 2000. A change is seen as ever, a file that looks
// just written is read once more and not for ever, and no change seems to be in
// the future, where no target could have started after it.
func TestClockSetBack(t *testing.T) {
	got := settle(t, []string{"file"}, func(r *rig) { r.write("0") }, func(r *rig) {
		if age := r.last.Load().Age(); age < 0 {
			t.Errorf("the first snapshot changed in %v", -age)
		}
		time.Sleep(time.Second)
		looks := r.looks.Load()
		time.Sleep(58 * time.Second) // up to the resync
		if n := r.looks.Load() - looks; n > 0 {
			t.Errorf("the files were looked at %d times while nothing happened", n)
		}
		time.Sleep(11 * time.Second)
		r.write("1")
		r.event(fsnotify.Write, "file")
		time.Sleep(time.Second)
		if age := r.last.Load().Age(); age < 0 {
			t.Errorf("the change is in %v", -age)
		}
	})
	if len(got) != 1 || got[0] != 70*time.Second+100*ms {
		t.Errorf("changes seen at %v, want one at 70.1s", got)
	}
}
