package deliver

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/reload"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// byCall is a rule with a URL, for a process or for whoever answers.
func byCall(process string) config.Rule {
	return config.Rule{Process: process, MinInterval: time.Second, StartGrace: time.Second, Verify: 5 * time.Second, Reload: &reload.Settings{URL: "http://127.0.0.1/reload"}}
}

func TestCalls(t *testing.T) {
	refused := &reload.StatusError{Code: 500}
	for _, test := range []struct {
		name    string
		process string
		act     func(*stage)
		want    []string
	}{{
		"a change leads to one call", "web", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "1m0s find"},
	}, {
		"of several processes of the name one counts", "web", func(s *stage) {
			s.have(target(7), target(8))
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call"},
	}, {
		"without PROCESS nobody is looked for, and the first look leads to a call", "", func(s *stage) {
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s call", "1m0s call"},
	}, {
		"a process that started after the change has read it", "web", func(s *stage) {
			s.have(&signal.Target{PID: 7, Started: changedAt + time.Hour})
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find"},
	}, {
		"one call at a time: what changes meanwhile leads to one more", "web", func(s *stage) {
			s.have(target(7))
			s.takes, s.answer = 5*time.Second, func() error { return nil }
			s.shows(1)
			for i := range byte(3) {
				time.Sleep(time.Second)
				s.shows(2 + i)
			}
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "1s find", "2s find", "3s find", "6s call"},
	}, {
		"one call at a time, also when the process is another by then", "web", func(s *stage) {
			s.have(target(7), target(8))
			s.takes, s.answer = 5*time.Second, func() error { return nil }
			s.shows(1)
			s.have(target(8))
			s.shows(1) // has podsignal look for the process
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "0s find", "5s call"},
	}, {
		"a call that fails is made again, at growing intervals", "web", func(s *stage) {
			s.have(target(7))
			s.answer = func() error {
				if time.Since(s.began) < 2*time.Second {
					return refused
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "100ms call", "300ms call", "700ms call", "1.5s call", "3.1s call"},
	}, {
		"newer content is delivered at once, though the call for older content fails", "web", func(s *stage) {
			s.have(target(7))
			s.takes, s.answer = 3*time.Second, func() error {
				if time.Since(s.began) < 5*time.Second {
					return refused
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Second)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "1s find", "3s call"},
	}, {
		"what was refused and is undone is delivered too", "web", func(s *stage) {
			s.have(target(7))
			s.answer = func() error {
				if since := time.Since(s.began); since > time.Second && since < 2*time.Second {
					return refused
				}
				return nil
			}
			s.shows(1)
			time.Sleep(1500 * ms)
			s.shows(2)
			time.Sleep(10 * ms)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "1.5s find", "1.5s call", "1.51s find", "1.51s call", "1.61s call", "1.81s call", "2.21s call"},
	}, {
		"what was not answered and is undone is delivered too: it may have been loaded", "web", func(s *stage) {
			s.have(target(7))
			s.takes = time.Second
			s.answer = func() error {
				if since := time.Since(s.began); since > 10*time.Second && since < 12*time.Second {
					return os.ErrDeadlineExceeded
				}
				return nil
			}
			s.shows(1)
			time.Sleep(10 * time.Second)
			s.shows(2)
			time.Sleep(500 * ms)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "10s find", "10s call", "10.5s find", "11s call"},
	}, {
		"an answer that comes in the middle of a change is followed by no call", "web", func(s *stage) {
			s.have(target(7))
			s.takes, s.answer = 3*time.Second, func() error { return nil }
			s.shows(1)
			s.shows(2)
			time.Sleep(2900 * ms)
			s.settling.Store(true)
			time.Sleep(3 * time.Second)
			s.settling.Store(false)
			s.shows(3)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "0s find", "5.9s call", "5.9s find"},
	}, {
		"also when that is later than MIN_INTERVAL", "web", func(s *stage) {
			s.have(target(7))
			s.takes, s.answer = 3*time.Second, func() error {
				if time.Since(s.began) == 3*time.Second {
					return refused // so that MIN_INTERVAL does not begin
				}
				return nil
			}
			s.shows(1)
			s.shows(2)
			time.Sleep(2 * time.Second)
			s.settling.Store(true)
			time.Sleep(3 * time.Second)
			s.settling.Store(false)
			s.shows(3)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s call", "0s find", "5s call", "5s find"},
	}, {
		"a process that has ended is not called, but its successor", "web", func(s *stage) {
			s.have(target(7))
			s.end()
			s.shows(1)
			time.Sleep(10 * ms)
			s.ended.Store(false)
			s.have(target(8))
			time.Sleep(time.Minute)
		}, []string{"0s find", "20ms find", "20ms call"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			events, _ := playAs(t, byCall(test.process), test.act)
			slices.Sort(test.want) // a call is made while others are looked for
			slices.Sort(events)
			if diff := cmp.Diff(test.want, events); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A program that has only just started may not answer yet.
func TestCallsStartGrace(t *testing.T) {
	young := &signal.Target{PID: 7, Name: "web"}
	young.Started = young.Age() - 400*ms // less than START_GRACE ago
	events, _ := playAs(t, byCall("web"), func(s *stage) {
		s.have(young)
		s.snapshots <- watcher.Snapshot{Digest: [32]byte{1}, Changed: young.Started + time.Hour}
		time.Sleep(10 * time.Second) // of the test's time; by the real clock it stays as young
		if st := s.json(t); !strings.Contains(st, "web (pid 7) has only just started") {
			t.Error(st)
		}
		// It is asked again when it is old enough, which by the real clock it never is.
		if n := s.status().Figures.Counts.HeldBack; n < 14 { // 17 times 600 ms, and fewer if this machine is slow
			t.Errorf("%d tries in 10 s, want one in 600 ms at least", n)
		}
	})
	if diff := cmp.Diff([]string{"0s find"}, events); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCallsDryRun(t *testing.T) {
	r := byCall("")
	r.DryRun = true
	events, log := playAs(t, r, func(s *stage) { s.shows(1) })
	if len(events) > 0 || !strings.Contains(log, `msg="dry run: nothing is sent"`) || !strings.Contains(log, "url=http://127.0.0.1/reload") {
		t.Errorf("%v\n%s", events, log)
	}
}
