package deliver

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// D2: never while files are changing.
func TestChangeUnderWay(t *testing.T) {
	for _, test := range []struct {
		name string
		act  func(*stage)
		want []string
	}{{
		"begins during a search", func(s *stage) {
			s.have(target(7))
			s.finding = 400 * ms
			go func() {
				time.Sleep(200 * ms)
				s.settling.Store(true)
				time.Sleep(time.Second)
				s.settling.Store(false)
				s.shows(2)
			}()
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "1.2s signal 7", "1.2s find"},
	}, {
		"what a long search has found waits for what happened meanwhile to be known", func(s *stage) {
			s.have(target(7))
			s.finding = 400 * ms
			s.shows(1)
			time.Sleep(400 * ms)
			synctest.Wait()
			s.settling.Store(true) // the watcher has had no time to tell that before
			time.Sleep(time.Second)
			s.settling.Store(false)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "1.4s signal 7", "1.4s find"},
	}, {
		"if nothing did, it is signalled then", func(s *stage) {
			s.have(target(7))
			s.finding = 400 * ms
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "401ms signal 7"},
	}, {
		"begins between two targets", func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(*signal.Target) error {
				if time.Since(s.began) == 0 {
					s.settling.Store(true) // and 7 gets its signal
				}
				return nil
			}
			s.shows(1)
			time.Sleep(900 * ms)
			s.settling.Store(false)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "900ms signal 8", "900ms find", "1s signal 7"},
	}, {
		"a snapshot that comes when the next change has begun", func(s *stage) {
			s.have(target(7))
			s.settling.Store(true)
			s.shows(1)
			time.Sleep(time.Second)
			s.settling.Store(false)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"1s find", "1s signal 7"},
	}, {
		"and never ends: W4's limit counts, but no attempt after it", func(s *stage) {
			s.have(target(7))
			s.settling.Store(true)
			s.refuse = func(*signal.Target) error {
				if time.Since(s.began) < 5*time.Second {
					return &signal.NotReadyError{Why: "it has no handler"}
				}
				return nil
			}
			for i := range byte(4) {
				s.snapshots <- watcher.Snapshot{Digest: [32]byte{1 + i}, Changed: changedAt, Unsettled: true}
				time.Sleep(2 * time.Second)
			}
		}, []string{"0s find", "2s find", "4s find", "6s signal 7", "6s find"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			got, log := play(t, 0, test.act)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
		})
	}
}

// D1: a change that was taken back while the program was reading leads to one more
// signal, since it may have read that.
func TestChangedBack(t *testing.T) {
	hup := config.Rule{Signal: syscall.SIGHUP, MinInterval: 100 * ms}
	slow := config.Rule{Signal: syscall.SIGHUP, MinInterval: 5 * time.Second}
	for _, test := range []struct {
		name string
		rule config.Rule
		act  func(*stage)
		want []string
	}{{
		"within a second of the signal", hup, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Second)
			s.stirs(1, 0)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7", "1s signal 7"},
	}, {
		"that is when it began, not when it was settled", hup, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(2 * time.Second)
			s.stirs(1, time.Second)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7", "2s signal 7"},
	}, {
		"later than that it has read the files", hup, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(1001 * ms)
			s.stirs(1, 0)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7"},
	}, {
		"within MIN_INTERVAL, if that is longer, and not before it is over", slow, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(4 * time.Second)
			s.stirs(1, 0)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7", "5s signal 7"},
	}, {
		"and other content in between was not delivered", slow, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Second)
			s.stirs(2, 0)
			time.Sleep(time.Second)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7", "5s signal 7"},
	}, {
		"one more is enough", hup, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.stirs(1, 0)
			time.Sleep(10 * time.Second)
			s.shows(1)
			s.stirs(1, 0)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7", "100ms signal 7"},
	}, {
		"a program that has only just started may have read what was there for a moment", slow, func(s *stage) {
			young := target(7)
			young.Started = uptime() - 500*ms
			s.have(young)
			s.refuse = func(*signal.Target) error {
				if time.Since(s.began) < time.Second {
					return &signal.NotReadyError{Why: "it has only just started"}
				}
				return nil
			}
			s.snapshots <- watcher.Snapshot{Digest: [32]byte{1}, Changed: young.Started - time.Hour}
			time.Sleep(100 * ms)
			s.stirs(2, 0)
			time.Sleep(100 * ms)
			s.stirs(1, 0)
			time.Sleep(time.Minute)
		}, []string{"1.46s signal 7"},
	}, {
		"but not if nothing else was seen", hup, func(s *stage) {
			young := target(7)
			young.Started = uptime() - 500*ms
			s.have(young)
			s.snapshots <- watcher.Snapshot{Digest: [32]byte{1}, Changed: young.Started - time.Hour}
			time.Sleep(100 * ms)
			s.stirs(1, 0)
			time.Sleep(time.Minute)
		}, []string{},
	}, {
		"a call is read until it is answered", byCall("web"), func(s *stage) {
			s.have(target(7))
			s.takes, s.answer = 5*time.Second, func() error { return nil }
			s.shows(1)
			time.Sleep(4 * time.Second)
			s.stirs(1, 0)
			time.Sleep(4 * time.Second) // it is called again at 6 s, until 11 s
			s.shows(1)
			time.Sleep(10 * time.Second)
			s.stirs(1, 6999*ms)
			time.Sleep(time.Minute)
		}, []string{"0s call", "6s call"},
	}, {
		"and what changed before the answer may be seen only after it", byCall("web"), func(s *stage) {
			s.have(target(7))
			s.takes, s.answer = 5*time.Second, func() error { return nil }
			s.shows(1)
			time.Sleep(6 * time.Second)
			s.stirs(1, 1001*ms)
			time.Sleep(time.Minute)
		}, []string{"0s call", "6s call"},
	}, {
		"a program that writes there itself is not signalled for ever", hup, func(s *stage) {
			s.have(target(7))
			s.shows(1)
			for range 20 {
				time.Sleep(200 * ms)
				s.stirs(1, 0)
			}
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(200 * ms)
			s.stirs(2, 0)
			time.Sleep(time.Minute)
		}, []string{"0s signal 7", "200ms signal 7", "400ms signal 7", "600ms signal 7", "1m4s signal 7", "1m4.2s signal 7"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			events, log := playAs(t, test.rule, test.act)
			events = slices.DeleteFunc(events, func(event string) bool { return strings.HasSuffix(event, "find") })
			if diff := cmp.Diff(test.want, events); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
			if told := strings.Count(log, "change and change back"); told != strings.Count(test.name, "for ever") {
				t.Errorf("told %d times that the files change and change back:\n%s", told, log)
			}
		})
	}
}

// While it is not known what the program runs, podsignal is not in sync.
func TestChangedBackIsOutOfSync(t *testing.T) {
	play(t, 0, func(s *stage) {
		s.have(target(7))
		s.shows(1)
		s.stirs(1, 0)
		time.Sleep(500 * ms)
		if s.status().OutOfSync.IsZero() {
			t.Error("it is in sync")
		}
		time.Sleep(time.Second)
		if !s.status().OutOfSync.IsZero() {
			t.Error("after one more signal it is out of sync")
		}
	})
}

// Nor while it is called once more.
func TestCalledOnceMoreIsOutOfSync(t *testing.T) {
	playAs(t, byCall("web"), func(s *stage) {
		s.have(target(7))
		s.takes, s.answer = 5*time.Second, func() error { return nil }
		s.shows(1)
		s.stirs(1, 0)
		time.Sleep(7 * time.Second) // it is called once more at 6 s
		if st := s.json(t); !strings.Contains(st, `"pending":"the URL has been called, and has not answered yet"`) {
			t.Error(st)
		}
		if s.status().OutOfSync.IsZero() {
			t.Error("it is in sync")
		}
	})
}

// D7: targets that come late are found, also when others are known.
func TestNewcomers(t *testing.T) {
	events, log := play(t, 0, func(s *stage) {
		s.tellAgain = true
		s.have(target(7))
		s.shows(1)
		time.Sleep(3 * time.Second)
		s.have(s.targets[0], target(8))
		time.Sleep(3 * time.Second)
		s.shows(2) // begins anew, but does not put off the whole one
		time.Sleep(20 * time.Second)
		s.have(s.targets[0], s.targets[1], target(9))
		time.Sleep(time.Hour)
	})
	want := []string{
		"0s find", "0s signal 7", "1s find again", "5s find again", "5s signal 8",
		"6s signal 7", "6s signal 8", "6s find", "7s find again", "11s find again",
		"30s find again, whole", "30s signal 9", "36s find again, whole",
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log)
	}
}

// A target that ends while nothing changes is let go of at once, and its successor found.
func TestTargetEnds(t *testing.T) {
	for _, pidfd := range []bool{true, false} {
		t.Run(fmt.Sprintf("with a pidfd: %t", pidfd), func(t *testing.T) {
			within := 0 * time.Second
			events, log := play(t, 0, func(s *stage) {
				s.noPidfd = !pidfd
				s.have(target(7))
				s.shows(1)
				time.Sleep(59500 * ms)
				s.have()
				s.end()
				if !pidfd {
					within = 500 * ms // each second
					time.Sleep(within)
				}
				synctest.Wait()
				if st := s.status(); !st.OutOfSync.IsZero() || st.Targets == nil || len(st.Targets) > 0 {
					t.Errorf("%+v, want no target, in sync", st)
				}
				time.Sleep(150 * ms)
				s.ended.Store(false)
				s.have(&signal.Target{PID: 8, Started: changedAt + time.Hour})
				time.Sleep(time.Minute)
			})
			want := []string{"0s find", "0s signal 7"}
			for _, after := range []time.Duration{0, 100 * ms, 300 * ms} {
				want = append(want, fmt.Sprint(59500*ms+within+after, " find"))
			}
			if diff := cmp.Diff(want, events); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
			if n := strings.Count(log, `msg="process ended" file=/v process=web pid=7`); n != 1 {
				t.Errorf("told %d times that it has ended:\n%s", n, log)
			}
		})
	}
}

// So is one whose end only its signal shows.
func TestTargetEndsBeforeSignal(t *testing.T) {
	_, log := play(t, 0, func(s *stage) {
		s.have(target(7))
		s.refuse = func(*signal.Target) error { return signal.ErrGone }
		s.shows(1)
		s.have()
		time.Sleep(time.Minute)
	})
	if n := strings.Count(log, `msg="process ended" file=/v process=web pid=7`); n != 1 {
		t.Errorf("told %d times that it has ended:\n%s", n, log)
	}
}

// A search that fails says nothing about the targets that are known.
func TestSearchFails(t *testing.T) {
	events, log := play(t, 0, func(s *stage) {
		s.have(target(7))
		s.shows(1)
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.broken = syscall.EMFILE
		s.mu.Unlock()
		s.shows(1)
		time.Sleep(50 * ms)
		s.mu.Lock()
		s.broken = nil
		s.mu.Unlock()
		time.Sleep(time.Minute)
	})
	if diff := cmp.Diff([]string{"0s find", "0s signal 7", "1m0s find", "1m0.1s find"}, events); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log)
	}
}

// Why a signal was sent, and which of them tell nothing of how fast podsignal is.
func TestReasons(t *testing.T) {
	shows := func(s *stage, content byte, ago time.Duration) {
		s.snapshots <- watcher.Snapshot{Digest: [32]byte{content}, Changed: uptime() - ago}
		synctest.Wait()
	}
	_, log := play(t, 0, func(s *stage) {
		old := target(7)
		old.Started = uptime() - 2*time.Hour
		s.have(old)
		shows(s, 1, time.Hour) // startup
		time.Sleep(time.Hour)
		shows(s, 2, 0) // change
		s.have(s.targets[0], target(8))
		time.Sleep(30 * time.Second) // newcomer
		s.stirs(2, 28500*ms)         // repeat, of 8 alone
		time.Sleep(time.Minute)
		failed := false
		s.refuse = func(*signal.Target) error {
			if failed {
				return nil
			}
			failed = true
			return syscall.EAGAIN
		}
		s.have(s.targets[0])
		shows(s, 2, time.Second) // lets go of 8
		shows(s, 3, 0)           // retry
		time.Sleep(time.Second)
		if c := s.status().Figures.Counts; c.Arrived != 5 || c.Late != 2 || c.Latency.Count != 3 {
			t.Errorf("%+v, want 5 sent, of which 2 late", c)
		}
	})
	var got []string
	for line := range strings.Lines(log) {
		if _, reason, ok := strings.Cut(strings.TrimSpace(line), "reason="); ok {
			_, pid, _ := strings.Cut(line, "pid=")
			got = append(got, pid[:1]+" "+reason)
		}
	}
	if diff := cmp.Diff([]string{"7 startup", "7 change", "8 newcomer", "8 repeat", "7 retry"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log)
	}
}

// A program that started as its files were written may have read what was there before.
func TestStartedWithTheChange(t *testing.T) {
	_, log := play(t, 0, func(s *stage) {
		young := target(7)
		young.Started = changedAt + 10*ms
		s.have(young, target(8))
		s.shows(1)
		time.Sleep(time.Minute)
	})
	if n := strings.Count(log, "process started during the change"); n != 1 {
		t.Errorf("told %d times, want once, of 7:\n%s", n, log)
	}
}

// DRY_RUN says what would be done, and what the gate would hold back, and tells nobody else.
func TestDryRun(t *testing.T) {
	var posted []notify.Notification
	_, log := playAs(t, config.Rule{Signal: syscall.SIGHUP, DryRun: true}, func(s *stage) {
		s.have(target(7))
		s.shows(1)
		time.Sleep(time.Hour)
	}, func(s *stage, l *Loop) {
		l.env.notify = func(n notify.Notification) { posted = append(posted, n) }
		s.refuse = func(*signal.Target) error { return &signal.NotReadyError{Why: "web (pid 7) ignores HUP"} }
	})
	if len(posted) > 0 {
		t.Errorf("NOTIFY_URL got %+v", posted)
	}
	if !strings.Contains(log, "reload held back") || strings.Contains(log, "dry run") {
		t.Error(log)
	}
}
