package deliver

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal"
)

// splay is a configuration of a replica that waits 10 s.
var splay = config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Splay: config.Splay{Within: 30 * time.Second, Share: 10 * time.Second}}

func TestSplay(t *testing.T) {
	rarely := splay
	rarely.MinInterval = 20 * time.Second
	for _, test := range []struct {
		name string
		rule config.Rule
		act  func(*stage)
		want []string // the signals
	}{{
		"each change waits, what was changed before podsignal started too", splay, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"10s signal 7", "1m10s signal 7"},
	}, {
		"newer content does not wait anew", splay, func(s *stage) {
			s.have(target(7))
			for content := range byte(10) { // up to 27 s
				s.shows(1 + content)
				time.Sleep(3 * time.Second)
			}
			time.Sleep(time.Minute)
		}, []string{"10s signal 7", "22s signal 7", "34s signal 7"},
	}, {
		"content that goes back is no signal, and the wait is over", splay, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(5 * time.Second)
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"10s signal 7", "2m15s signal 7"},
	}, {
		"D4: a target that starts meanwhile has read the content", splay, func(s *stage) {
			s.have(target(7))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 7 {
					return signal.ErrGone
				}
				return nil
			}
			s.shows(1)
			time.Sleep(5 * time.Second)
			s.have(&signal.Target{PID: 8, Started: changedAt + time.Hour})
			time.Sleep(time.Minute)
		}, nil,
	}, {
		"what is tried again does not wait again, nor does newer content then", splay, func(s *stage) {
			s.have(target(7))
			s.refuse = until(14*time.Second, syscall.EPERM) // at 10, 10.1, 10.3, 10.7, 11.5 and 13.1 s
			s.shows(1)
			time.Sleep(14 * time.Second)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"14s signal 7"},
	}, {
		"what is held back does not wait again", splay, func(s *stage) {
			s.have(target(7))
			s.refuse = until(10100*ms, &signal.NotReadyError{Why: "it has no handler"}) // at 10, 10.02, 10.06 s
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"10.14s signal 7"},
	}, {
		"D5: one that fails changes nothing for the others", splay, func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 8 {
					return syscall.EPERM
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"10s signal 7", "1m10s signal 7"},
	}, {
		"MIN_INTERVAL runs at the same time", rarely, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(12 * time.Second)
			s.shows(2) // has waited at 22 s, but the last signal was at 10 s
			time.Sleep(23 * time.Second)
			s.shows(3) // has waited at 45 s, and until 50 s for MIN_INTERVAL
			time.Sleep(time.Minute)
		}, []string{"10s signal 7", "30s signal 7", "50s signal 7"},
	}, {
		"files that are gone meanwhile hold back the signal", splay, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(5 * time.Second)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(15 * time.Second)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"20s signal 7"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			events, log := playAs(t, test.rule, test.act)
			var got []string
			for _, event := range events {
				if strings.Contains(event, "signal") {
					got = append(got, event)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
		})
	}
}

// What waits as it should is logged once, and is no reason for alarm.
func TestSplayIsNoTrouble(t *testing.T) {
	r := splay
	r.Splay = config.Splay{Within: time.Hour, Share: 10 * time.Minute}
	_, log := playAs(t, r, func(s *stage) {
		s.have(target(7))
		s.refuse = until(11*time.Minute, syscall.EPERM)
		want := func(outOfSync bool, overdue time.Duration, pending string, ready bool) {
			t.Helper()
			synctest.Wait()
			st := s.status()
			if is := !st.OutOfSync.IsZero(); is != outOfSync {
				t.Errorf("out of sync: %v, want %v", is, outOfSync)
			}
			if got := st.overdue(); got != overdue {
				t.Errorf("overdue for %v, want %v", got, overdue)
			}
			if err := st.Ready(); (err == nil) != ready {
				t.Errorf("ready: %v, want %v", err, ready)
			}
			if got := st.Targets[0].Pending; got != pending {
				t.Errorf("pending: %q, want %q", got, pending)
			}
		}
		const waits = "waits until 2000-01-01T00:10:00Z, its share of SPLAY=1h0m0s"
		s.shows(1)
		want(true, 0, waits, true)
		time.Sleep(8 * time.Minute)
		s.shows(2)
		time.Sleep(119 * time.Second)
		want(true, 0, waits, true)
		time.Sleep(41 * time.Second) // and now it fails for 40 s
		want(true, 40*time.Second, "operation not permitted", false)
		time.Sleep(2 * time.Minute)
		want(false, 0, "", true)
	})
	const line = `level=INFO msg="waiting for this replica's share of SPLAY" file=/v process=web digest=010000000000 pid=7 splay=1h0m0s until=2000-01-01T00:10:00.000Z`
	if strings.Count(log, "SPLAY") != 1 || !strings.Contains(log, line) {
		t.Errorf("want SPLAY once, as %s, in:\n%s", line, log)
	}
}
