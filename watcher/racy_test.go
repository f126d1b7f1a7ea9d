package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// W3: a file that was read right after it was written may be written again without
// a change of its ctime, so that it is read once more, and no more than that.
func TestRacyFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("1"), 0o644))
	synctest.Test(t, func(t *testing.T) {
		c := newCache()
		look := func() (digest [32]byte, recheck bool) {
			s := newScan(t.Context(), c, nil)
			_, err := s.path(path)
			must(t, err)
			return s.digest(), s.recheck
		}
		right, recheck := look()
		if !recheck {
			t.Error("no look is scheduled to read the file again")
		}
		// What a write in the same tick of the clock does: other content, all else equal.
		c.files[path].sum[0]++
		if digest, _ := look(); digest == right {
			t.Error("read again at once")
		}
		time.Sleep(racy)
		if digest, recheck := look(); digest != right || recheck {
			t.Errorf("after %v: read again: %t; one more look is scheduled: %t", racy, digest == right, recheck)
		}
		c.files[path].sum[0]++
		time.Sleep(racy)
		if digest, _ := look(); digest == right {
			t.Error("read a third time")
		}
	})
}
