package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
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

// A file server's clock is behind: what is written now has the ctime of an hour ago. It is
// read once more all the same, and no more than that. By our own clock an old file is old.
func TestServerBehind(t *testing.T) {
	for name, test := range map[string]struct{ ours, again bool }{
		"our clock":  {true, false},
		"a server's": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			must(t, os.WriteFile(path, []byte("1"), 0o644))
			var st unix.Stat_t
			must(t, unix.Stat(path, &st))
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(st.Ctim.Unix()).Add(time.Hour))) // a bubble begins in 2000
				c := newCache()
				c.clocks[st.Dev] = &clock{ours: test.ours}
				look := func() (digest [32]byte, recheck bool) {
					s := newScan(t.Context(), c, nil)
					_, err := s.path(path)
					must(t, err)
					return s.digest(), s.recheck
				}
				right, recheck := look()
				if recheck != test.again {
					t.Errorf("a look is scheduled to read it again: %t, want %t", recheck, test.again)
				}
				// What a write in the same tick of the server's clock does: other content, all else equal.
				c.files[path].sum[0]++
				time.Sleep(racy)
				if digest, recheck := look(); digest == right != test.again || recheck {
					t.Errorf("read again: %t; one more look is scheduled: %t", digest == right, recheck)
				}
				c.files[path].sum[0] = right[0] + 1
				time.Sleep(time.Hour)
				if _, recheck := look(); recheck {
					t.Error("read again for ever")
				}
			})
		})
	}
}

// What is older than another file by that server's own clock cannot be written again
// without another ctime.
func TestServersClock(t *testing.T) {
	k := &clock{}
	at := func(d time.Duration) unix.Timespec { return unix.NsecToTimespec(int64(1e18 + d)) }
	for i, test := range []struct {
		ctime time.Duration
		want  bool
	}{
		{0, true}, {-racy, false}, {-racy + 1, true}, {time.Second, true}, {0, false}, {time.Second, true}, {-time.Hour, false},
	} {
		if got := k.young(at(test.ctime)); got != test.want {
			t.Errorf("file %d, at %v: young: %t, want %t", i, test.ctime, got, test.want)
		}
	}
	for path, want := range map[string]bool{"/dev/shm": true, "/proc": false, "/not/there": false} {
		if local(path) != want {
			t.Errorf("%s has our clock: %t, want %t", path, !want, want)
		}
	}
}
