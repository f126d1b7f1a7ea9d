package deliver

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podsignal/podsignal/watcher"
)

// Files on a mount that is stale will never be seen to change, which somebody should know;
// what else changes is signalled all the same.
func TestStaleFiles(t *testing.T) {
	play(t, 0, func(s *stage) {
		ready := func(when, want string) {
			t.Helper()
			if got := s.ready(); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		shows := func(content byte, stale error) {
			s.snapshots <- watcher.Snapshot{Digest: [32]byte{content}, Changed: changedAt, Stale: stale}
			synctest.Wait()
		}
		s.have(target(7))
		shows(1, nil)
		time.Sleep(time.Minute)
		moved := errors.New("/conf was moved")
		shows(1, moved)
		ready("at once", "ok")
		shows(2, moved)
		time.Sleep(31 * time.Second)
		ready("31 s later", "since 2000-01-01T00:01:00Z: /conf was moved")
		if st := s.json(t); !strings.Contains(st, `"stale":"/conf was moved"`) || !strings.Contains(st, `"stale_since":"2000-01-01T00:01:00Z"`) {
			t.Errorf("the status does not say it: %s", st)
		}
		shows(2, nil)
		ready("when it is moved back", "ok")
		if n := strings.Count(strings.Join(s.events, "\n"), "signal 7"); n != 2 {
			t.Errorf("%q: want two signals", s.events)
		}
	})
}
