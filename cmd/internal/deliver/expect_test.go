package deliver

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// state is what is known of the rule and of its targets, in one line: of each digest its first
// byte, or - for none, and how the last reload has ended.
func (s *stage) state() string {
	synctest.Wait()
	st := s.status()
	name := func(d *Digest) string {
		if d == nil {
			return "-"
		}
		return strings.Trim(d.Digest, "0")
	}
	rejected := func(r *Rejection) string {
		if r == nil {
			return "-"
		}
		return name(&r.Digest) + " " + string(r.Outcome)
	}
	var all []string
	for _, t := range st.Targets {
		all = append(all, fmt.Sprintf("%d delivered %s running %s rejected %s", t.PID, name(t.Delivered), name(t.Running), rejected(t.Rejected)))
	}
	last := map[lastReload]string{ReloadUnknown: "unknown", ReloadSuccessful: "successful", ReloadFailed: "failed"}[st.Figures.LastReload]
	return fmt.Sprintf("%s; rejected %s; last reload %s", strings.Join(all, ", "), rejected(st.Rejected), last)
}

// TestExpect is what EXPECT makes of what is seen of a signal, from the first one on.
func TestExpect(t *testing.T) {
	const replaced, read, none = verify.ExpectReplaced, verify.ExpectRead, verify.ExpectNone
	for _, test := range []struct {
		name   string
		expect verify.Expect
		before []int
		act    func(*stage) // after a signal for 1
		at     time.Duration
		want   string
	}{
		{"no effect is there yet", replaced, []int{11}, func(*stage) {}, 4 * time.Second, "7 delivered 1 running - rejected -; rejected -; last reload unknown"},
		{"no child is new", replaced, []int{11}, func(*stage) {}, 5 * time.Second, "7 delivered 1 running - rejected 1 refused; rejected -; last reload failed"},
		{
			"one child is new, and another lingers", replaced,
			[]int{11},
			func(s *stage) { s.children.Store([]int{11, 12}) },
			100 * ms, "7 delivered 1 running 1 rejected -; rejected -; last reload successful",
		},
		{
			"it takes 10 s to load", replaced, []int{11}, func(s *stage) {
				time.Sleep(10 * time.Second)
				s.children.Store([]int{12})
			}, 11 * time.Second, "7 delivered 1 running 1 rejected -; rejected -; last reload successful",
		},
		{
			"a child that comes when nobody looks any more proves nothing", replaced, []int{11}, func(s *stage) {
				time.Sleep(time.Minute)
				s.children.Store([]int{12})
			}, 2 * time.Minute, "7 delivered 1 running - rejected 1 refused; rejected -; last reload failed",
		},
		{
			"a target without children has none to be replaced", replaced, nil, func(*stage) {},
			10 * time.Second, "7 delivered 1 running - rejected -; rejected -; last reload unknown",
		},
		{
			"all children are gone, and others may come on demand", replaced,
			[]int{11},
			func(s *stage) { s.children.Store([]int(nil)) },
			10 * time.Second, "7 delivered 1 running - rejected -; rejected -; last reload unknown",
		},
		{
			"it cannot be seen that no file is read", read, nil, func(*stage) {},
			10 * time.Second, "7 delivered 1 running - rejected -; rejected -; last reload unknown",
		},
		{"nothing is expected", none, []int{11}, func(*stage) {}, 0, "7 delivered 1 running 1 rejected -; rejected -; last reload successful"},
		{
			"nothing is expected, and it dies", none, nil, func(s *stage) {
				s.have()
				s.end()
			}, 6 * time.Second, "; rejected 1 died; last reload failed",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule := config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: 5 * time.Second, Expect: test.expect}
			playAs(t, rule, func(s *stage) {
				s.have(target(7))
				s.children.Store(test.before)
				s.shows(1)
				test.act(s)
				time.Sleep(test.at - time.Since(s.began))
				if diff := cmp.Diff(test.want, s.state()); diff != "" {
					t.Errorf("(-want +got)\n%s\n%s", diff, s.log.String())
				}
			})
		})
	}
}

// What was rejected stays so until something else runs, whatever happens meanwhile, and people
// are told of it, and of its end, once.
func TestLastingState(t *testing.T) {
	const successor = 8
	refused := func(s *stage) {
		s.children.Store([]int{11})
		s.shows(1)
		s.children.Store([]int{12})
		time.Sleep(time.Minute)
		s.shows(2)
		time.Sleep(time.Minute)
	}
	for _, test := range []struct {
		name string
		act  func(*stage)
		want string
		told string
	}{{
		"refused", func(s *stage) { refused(s); time.Sleep(24 * time.Hour) },
		"7 delivered 2 running 1 rejected 2 refused; rejected -; last reload failed", "1m30s refused",
	}, {
		"refused, and corrected", func(s *stage) {
			refused(s)
			s.shows(3)
			s.children.Store([]int{13})
			time.Sleep(time.Second)
		}, "7 delivered 3 running 3 rejected -; rejected -; last reload successful", "1m30s refused, 2m0.01s resolved",
	}, {
		"refused, and undone", func(s *stage) {
			refused(s)
			s.shows(1)
			s.children.Store([]int{13})
			time.Sleep(time.Second)
		}, "7 delivered 1 running 1 rejected -; rejected -; last reload successful", "1m30s refused, 2m0.01s resolved",
	}, {
		"refused, and the program ends", func(s *stage) {
			refused(s)
			s.have()
			s.shows(2) // has podsignal look for it
			time.Sleep(time.Hour)
		}, "; rejected 2 refused; last reload failed", "1m30s refused",
	}, {
		"refused, and the program is started again with that", func(s *stage) {
			refused(s)
			s.have(&signal.Target{PID: successor, Started: uptime() - time.Minute})
			s.snapshots <- watcher.Snapshot{Digest: [32]byte{2}, Changed: uptime() - time.Hour}
		}, "8 delivered 2 running 2 rejected -; rejected -; last reload successful", "1m30s refused, 2m0s resolved",
	}, {
		"refused, and what follows within 30 s too", func(s *stage) {
			s.children.Store([]int{11})
			s.shows(1)
			time.Sleep(28 * time.Second)
			s.shows(2)
			time.Sleep(time.Hour)
		}, "7 delivered 2 running - rejected 2 refused; rejected -; last reload failed", "58s refused",
	}, {
		"within 30 s a refusal is no news, if it is over by then", func(s *stage) {
			s.children.Store([]int{11})
			s.shows(1)
			time.Sleep(20 * time.Second)
			s.children.Store([]int{12})
			time.Sleep(time.Hour)
		}, "7 delivered 1 running 1 rejected -; rejected -; last reload successful", "",
	}} {
		t.Run(test.name, func(t *testing.T) {
			var told []string
			rule := config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: 5 * time.Second, Expect: verify.ExpectReplaced}
			playAs(t, rule, func(s *stage) {
				s.have(target(7))
				test.act(s)
				if diff := cmp.Diff(test.want, s.state()); diff != "" {
					t.Errorf("(-want +got)\n%s\n%s", diff, s.log.String())
				}
				if err := s.status().Ready(); err != nil && len(s.targets) > 0 {
					t.Errorf("not ready, although the program serves: %v", err)
				}
			}, func(s *stage, l *Loop) {
				l.env.notify = func(n notify.Notification) {
					if n.Outcome.Failed() && n.Outcome != verify.Undelivered || n.Outcome == verify.Resolved {
						told = append(told, fmt.Sprintf("%v %s", time.Since(s.began), n.Outcome))
					}
				}
			})
			if diff := cmp.Diff(test.told, strings.Join(told, ", ")); diff != "" {
				t.Errorf("told (-want +got)\n%s", diff)
			}
		})
	}
}
