package deliver

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal"
)

func TestOutcome(t *testing.T) {
	// reload is a signal for content, upon which the children become these.
	reload := func(s *stage, content byte, after time.Duration, children ...int) {
		s.shows(content)
		time.Sleep(after)
		s.children.Store(children)
		time.Sleep(10*time.Second - after)
	}
	for _, test := range []struct {
		name string
		act  func(*stage)
		want []string
	}{{
		"all children are new", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 13, 14)
		}, []string{"5s replaced"},
	}, {
		"some children are new: the old ones may still be serving", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 12, 13, 14)
		}, []string{"5s unseen"},
	}, {
		"old children that end in time are no matter", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 100*ms, 12, 13, 14)
			s.shows(2)
			time.Sleep(100 * ms)
			s.children.Store([]int{14, 15, 16})
			time.Sleep(time.Second)
			s.children.Store([]int{15, 16})
			time.Sleep(10 * time.Second)
		}, []string{"5s unseen", "15s replaced"},
	}, {
		"no child is new, as ever", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 0, 11, 12)
			reload(s, 2, 0, 11, 12)
		}, []string{"5s unseen", "15s unseen"},
	}, {
		"no child is new, although an earlier signal replaced them", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 13, 14)
			reload(s, 2, 0, 13, 14)
			reload(s, 3, 300*ms, 15, 16)
		}, []string{"5s replaced", "15s refused", "25s replaced"},
	}, {
		"a second time in a row", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 13, 14)
			reload(s, 2, 0, 13, 14)
			reload(s, 3, 0, 13, 14)
		}, []string{"5s replaced", "15s refused", "25s refused"},
	}, {
		"a child that ended is no new one", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 13, 14)
			reload(s, 2, 300*ms, 13)
		}, []string{"5s replaced", "15s refused"},
	}, {
		"children that come late are not refused", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 13, 14)
			reload(s, 2, 4900*ms, 15, 16)
		}, []string{"5s replaced", "15s replaced"},
	}, {
		"the next signal ends the watch of the one before, which is too soon for refused", func(s *stage) {
			s.children.Store([]int{11, 12})
			reload(s, 1, 300*ms, 13, 14)
			s.shows(2)
			time.Sleep(2 * time.Second)
			reload(s, 3, 300*ms, 15, 16)
		}, []string{"5s replaced", "12s unseen", "17s replaced"},
	}, {
		"it is gone", func(s *stage) {
			s.shows(1)
			time.Sleep(80 * ms)
			s.have()
			s.end()
			time.Sleep(10 * time.Second)
		}, []string{"5s died"},
	}, {
		"it is gone, and another has come", func(s *stage) {
			s.shows(1)
			time.Sleep(80 * ms)
			s.have()
			s.end()
			time.Sleep(2 * time.Second)
			s.have(&signal.Target{PID: 8, Started: changedAt + time.Hour})
			time.Sleep(10 * time.Second)
		}, []string{"5s restarted"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			var began time.Time
			_, log := play(t, 5*time.Second, func(s *stage) {
				began = s.began
				s.have(target(7))
				test.act(s)
			})
			var got []string
			for _, line := range regexp.MustCompile(`(?m)^time=(\S+) .* outcome=(\S+)$`).FindAllStringSubmatch(log, -1) {
				at, err := time.Parse(time.RFC3339, line[1])
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, at.Sub(began).String()+" "+line[2])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s\n%s", diff, log)
			}
			warnings := slices.ContainsFunc(test.want, func(s string) bool {
				return regexp.MustCompile("died|refused").MatchString(s)
			})
			if warned := regexp.MustCompile(`level=WARN .*; see its log`).MatchString(log); warned != warnings {
				t.Errorf("warned: %t, want %t:\n%s", warned, warnings, log)
			}
		})
	}
}

// A signal that did not arrive has no outcome, and that of the one before goes on being
// watched.
func TestOutcomeOfFailure(t *testing.T) {
	for name, err := range map[string]error{"not permitted": syscall.EPERM, "gone": signal.ErrGone} {
		t.Run(name, func(t *testing.T) {
			_, log := play(t, 5*time.Second, func(s *stage) {
				s.children.Store([]int{11})
				s.have(target(7))
				s.shows(1)
				time.Sleep(3 * time.Second)
				s.deny = func(*signal.Target) error { return err }
				s.have()
				s.shows(2)
				time.Sleep(time.Second)
				s.children.Store([]int{12})
				time.Sleep(time.Minute)
			})
			got := regexp.MustCompile(`outcome=.*`).FindAllString(log, -1)
			if diff := cmp.Diff([]string{"outcome=replaced"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
		})
	}
}

// That a process ends is what some signals are for, and no reason to warn. That no
// other has come is logged when the time for it is over.
func TestOutcomeEnded(t *testing.T) {
	const found = `0s level=INFO msg="process found"`
	ended := []string{
		found,
		`30ms level=INFO msg="process ended"`,
		`5s level=INFO msg="reload outcome" outcome=ended`,
		`6.33s level=INFO msg="no matching process, retrying"`,
	}
	for sig, want := range map[syscall.Signal][]string{
		syscall.SIGTERM: ended, syscall.SIGINT: ended, syscall.SIGQUIT: ended,
		syscall.SIGUSR1: {
			found,
			`30ms level=INFO msg="process ended"`,
			`30ms level=INFO msg="no matching process, retrying"`,
			`5s level=WARN msg="program died after the signal; see its log" outcome=died`,
		},
	} {
		t.Run(signal.Name(sig), func(t *testing.T) {
			var began time.Time
			_, log := playAs(t, config.Rule{Signal: sig, Verify: 5 * time.Second}, func(s *stage) {
				began = s.began
				s.have(target(7))
				s.shows(1)
				time.Sleep(30 * ms)
				s.have()
				s.end()
				time.Sleep(20 * time.Second)
			})
			var got []string
			for _, line := range regexp.MustCompile(`(?m)^time=(\S+) (level=\S+ msg="[^"]* [^"]*") .*?( outcome=\S+)?$`).FindAllStringSubmatch(log, -1) {
				at, err := time.Parse(time.RFC3339, line[1])
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, at.Sub(began).String()+" "+line[2]+line[3])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
		})
	}
}

// A target is looked at while there is something that no event would tell.
func TestLooks(t *testing.T) {
	for _, test := range []struct {
		name     string
		noPidfd  bool
		children []int
		act      func(*stage)
		most     int // how often in the 5 s of VERIFY
		least    int
	}{
		{"nothing is left to be seen", false, nil, func(*stage) {}, 1, 1},
		{"its end is not told", true, nil, func(*stage) {}, 25, 14},
		{"its children may be replaced", false, []int{11}, func(*stage) {}, 20, 14},
		{"they are", false, []int{11}, func(s *stage) { s.children.Store([]int{12}) }, 5, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			looks := 0
			_, log := playAs(t, config.Rule{Signal: syscall.SIGHUP, Verify: 5 * time.Second}, func(s *stage) {
				s.noPidfd = test.noPidfd
				s.children.Store(test.children)
				s.have(target(7))
				s.shows(1)
				time.Sleep(50 * ms)
				test.act(s)
				time.Sleep(5 * time.Second)
			}, func(_ *stage, l *Loop) {
				ended := l.env.procs.ended
				l.env.procs.ended = func(target *signal.Target) bool { looks++; return ended(target) }
			})
			if strings.Count(log, `msg="reload outcome"`) != 1 {
				t.Errorf("no outcome:\n%s", log)
			}
			if looks < test.least || looks > test.most {
				t.Errorf("%d looks, want %d to %d", looks, test.least, test.most)
			}
		})
	}
}
