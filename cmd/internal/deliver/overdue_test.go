package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/reload"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
)

func TestNotices(t *testing.T) {
	hup := config.Rule{Name: "main", Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: 5 * time.Second}
	call := byCall("")
	for _, test := range []struct {
		name string
		rule config.Rule
		all  bool
		act  func(*stage)
		want []string
	}{{
		"what goes well is not told", hup, false, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Hour)
		}, nil,
	}, {
		"unless all is asked for", hup, true, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"5s unseen main: >010000000000 HUP 7", "1m5s unseen main: 010000000000>020000000000 HUP 7"},
	}, {
		"without VERIFY it is posted at once", config.Rule{Signal: syscall.SIGHUP}, true, func(s *stage) {
			s.have(target(7))
			s.shows(1)
		}, []string{"0s unseen >010000000000 HUP 7"},
	}, {
		"an answered call too", call, true, func(s *stage) { s.shows(1) },
		[]string{"0s accepted >010000000000 http://127.0.0.1/reload"},
	}, {
		"a process that died of a signal", hup, false, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.have()
			s.end()
			time.Sleep(time.Minute)
		}, []string{"5s died main: >010000000000 HUP 7"},
	}, {
		"a process that kept its workers", hup, false, func(s *stage) {
			s.have(target(7))
			s.children.Store([]int{8})
			s.shows(1)
			s.children.Store([]int{9})
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"1m30s refused main: 010000000000>020000000000 HUP 7 its workers were not replaced"},
	}, {
		"a change that reaches nobody for a minute, once", hup, false, func(s *stage) {
			s.shows(1)
			time.Sleep(time.Hour)
		}, []string{"1m0s undelivered main: >010000000000 HUP no matching process: none is there"},
	}, {
		"one target that fails beside another that only waits", config.Rule{Name: "main", Signal: syscall.SIGHUP, MinInterval: time.Hour}, false, func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 7 {
					return syscall.EPERM
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Second)
			s.shows(2)
			time.Sleep(10 * time.Minute)
		}, []string{"1m0s undelivered main: >020000000000 HUP 7 operation not permitted"},
	}, {
		"and the next one, after a minute of its own", hup, false, func(s *stage) {
			s.shows(1)
			time.Sleep(10 * time.Minute)
			s.shows(2)
			time.Sleep(10 * time.Minute)
		}, []string{
			"1m0s undelivered main: >010000000000 HUP no matching process: none is there",
			"11m0s undelivered main: >020000000000 HUP no matching process: none is there",
		},
	}, {
		"not if it arrives within the minute", hup, false, func(s *stage) {
			s.shows(1)
			time.Sleep(50 * time.Second)
			s.have(target(7))
			time.Sleep(time.Hour)
		}, nil,
	}, {
		"nor while it waits for its share of SPLAY", config.Rule{Signal: syscall.SIGHUP, Splay: config.Splay{Within: time.Hour, Share: 30 * time.Minute}}, false, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(20 * time.Minute)
		}, nil,
	}, {
		"a target that may not be signalled", hup, false, func(s *stage) {
			s.have(target(7))
			s.refuse = func(*signal.Target) error {
				if since := time.Since(s.began); since < 3*time.Minute || since > time.Hour-time.Second {
					return syscall.EPERM
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Hour)
			s.shows(2)
			time.Sleep(time.Hour)
		}, []string{
			"1m0s undelivered main: >010000000000 HUP 7 operation not permitted",
			"3m47.3s resolved main: >010000000000 HUP 7",
			"1h1m0s undelivered main: 010000000000>020000000000 HUP 7 operation not permitted",
		},
	}, {
		"a program that refuses a call", call, false, func(s *stage) {
			s.answer = func() error { return errors.New("500") }
			s.shows(1)
			time.Sleep(time.Hour)
		}, []string{"1m0s undelivered >010000000000 http://127.0.0.1/reload 500"},
	}, {
		"a program that answers that it has refused the configuration, and a later one that it takes", call, false, func(s *stage) {
			s.answer = func() error {
				if time.Since(s.began) < time.Hour {
					return &reload.StatusError{Code: 500}
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Hour)
			s.shows(2)
			time.Sleep(time.Hour)
		}, []string{
			"0s refused >010000000000 http://127.0.0.1/reload  : 500 Internal Server Error:",
			"1h0m0s resolved >020000000000 http://127.0.0.1/reload",
		},
	}, {
		"a call that is wrong", call, false, func(s *stage) {
			s.answer = func() error { return &reload.StatusError{Code: 403} }
			s.shows(1)
			time.Sleep(time.Hour)
		}, []string{"0s undelivered >010000000000 http://127.0.0.1/reload  : 403 Forbidden:"},
	}, {
		"a program that is not ready", call, false, func(s *stage) {
			s.answer = func() error { return &reload.StatusError{Code: 503} }
			s.shows(1)
			time.Sleep(time.Hour)
		}, []string{"1m0s undelivered >010000000000 http://127.0.0.1/reload  : 503 Service Unavailable:"},
	}, {
		"a program that refuses a call, and newer content while it answers slowly", call, false, func(s *stage) {
			s.takes, s.answer = 10*time.Second, func() error { return errors.New("500") }
			s.shows(1)
			time.Sleep(5 * time.Minute)
			s.shows(2)
			time.Sleep(30 * time.Second)
		}, []string{"1m10s undelivered >010000000000 http://127.0.0.1/reload 500"},
	}, {
		"files that are gone", hup, false, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(time.Hour)
		}, []string{"2m0s undelivered main: 010000000000>010000000000 HUP file does not exist"},
	}, {
		"and, when they have been back, are gone again", hup, false, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(2 * time.Minute)
			s.shows(1)
			time.Sleep(time.Minute)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(2 * time.Minute)
		}, []string{
			"1m0s undelivered main: 010000000000>010000000000 HUP file does not exist",
			"2m0s resolved main: >010000000000 HUP 7",
			"4m0s undelivered main: 010000000000>010000000000 HUP file does not exist",
		},
	}} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			playAs(t, test.rule, test.act, func(s *stage, l *Loop) {
				l.env.notify = func(n notify.Notification) {
					if !test.all && !n.Outcome.Failed() && n.Outcome != verify.Resolved {
						return // as package notify does
					}
					rule, pid := "", ""
					if n.Rule != "" {
						rule = n.Rule + ": "
					}
					if n.PID != 0 {
						pid = fmt.Sprint(" ", n.PID)
					}
					line := fmt.Sprintf("%v %s %s%s>%s %s%s%s %s", time.Since(s.began), n.Outcome, rule, n.DigestBefore, n.DigestAfter, n.Signal, n.ReloadURL, pid, n.Cause)
					got = append(got, strings.TrimSpace(line))
				}
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
