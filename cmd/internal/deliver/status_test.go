package deliver

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal"
)

// status is what the loop says of itself.
func (s *stage) status() *Status {
	st, err := s.loop.Status(context.Background())
	if err != nil {
		panic(err) // it is stuck
	}
	return st
}

// overdue is for how long the status has been out of sync, but for a wait for SPLAY.
func (s *Status) overdue() time.Duration {
	if s.Figures.Overdue.IsZero() {
		return 0
	}
	return s.Figures.At.Sub(s.Figures.Overdue)
}

// ready is ok, or why not.
func (s *stage) ready() string {
	if err := s.status().Ready(); err != nil {
		return err.Error()
	}
	return "ok"
}

// json is the status as /status has it, with its keys sorted, less what is the same in all
// tests and what counts from the machine's boot.
func (s *stage) json(t *testing.T) string {
	t.Helper()
	st := s.status()
	if st.OnDisk != nil {
		st.OnDisk.Since = Moment{}
	}
	for i := range st.Targets {
		st.Targets[i].Started = Moment{}
	}
	document, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var page map[string]any
	if err := json.Unmarshal(document, &page); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"file": []any{"/v"}, "process": "web"} {
		if diff := gocmp.Diff(want, page[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
		delete(page, key)
	}
	if by := fmt.Sprint(page["signal"], page["url"]); by != "HUP<nil>" && by != "<nil>http://127.0.0.1/reload" {
		t.Errorf("neither HUP nor the URL: %s", by)
	}
	delete(page, "signal")
	delete(page, "url")
	document, err = json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// until lets something fail for so long from now.
func until(d time.Duration, err error) func(*signal.Target) error {
	end := time.Now().Add(d)
	return func(*signal.Target) error {
		if time.Now().Before(end) {
			return err
		}
		return nil
	}
}

func TestReady(t *testing.T) {
	type answer struct {
		at   time.Duration
		want string // the reason; empty: ready
	}
	for _, test := range []struct {
		name    string
		act     func(*stage)
		answers []answer
	}{{
		"before the first look", func(*stage) {},
		[]answer{{0, "the first scan of the files is not finished"}, {time.Hour, "the first scan of the files is not finished"}},
	}, {
		"a first look that failed", func(s *stage) { s.fails(0, fs.ErrPermission) },
		[]answer{{0, "permission denied"}, {time.Hour, "permission denied"}},
	}, {
		"all is well", func(s *stage) { s.have(target(7)); s.shows(1) },
		[]answer{{0, ""}, {time.Hour, ""}},
	}, {
		"no target", func(s *stage) { s.shows(1) },
		[]answer{{30 * time.Second, ""}, {31 * time.Second, "since 2000-01-01T00:00:00Z: no matching process: none is there"}},
	}, {
		"a target that comes late", func(s *stage) {
			s.shows(1)
			time.Sleep(40 * time.Second)
			s.have(target(7))
		}, []answer{{40 * time.Second, "since 2000-01-01T00:00:00Z: no matching process: none is there"}, {45 * time.Second, ""}},
	}, {
		"signals fail, and arrive again", func(s *stage) {
			s.have(target(7))
			s.refuse = until(time.Minute, syscall.EPERM)
			s.shows(1)
		}, []answer{
			{30 * time.Second, ""},
			{31 * time.Second, "since 2000-01-01T00:00:00Z: operation not permitted"},
			{59 * time.Second, "since 2000-01-01T00:00:00Z: operation not permitted"},
			{2 * time.Minute, ""},
		},
	}, {
		"signals fail, whatever the files show", func(s *stage) {
			s.have(target(7))
			s.refuse = until(time.Hour, syscall.EPERM)
			for content := range byte(5) {
				s.shows(1 + content)
				time.Sleep(10 * time.Second)
			}
		}, []answer{{50 * time.Second, "since 2000-01-01T00:00:00Z: operation not permitted"}},
	}, {
		"one of two targets is held back", func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 8 {
					return &signal.NotReadyError{Why: "web (pid 8) ignores HUP"}
				}
				return nil
			}
			s.shows(1)
		}, []answer{{29 * time.Second, ""}, {31 * time.Second, "since 2000-01-01T00:00:00Z: web (pid 8) ignores HUP"}},
	}, {
		"files that are gone, and back", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(40 * time.Second)
		}, []answer{{40 * time.Second, "since 2000-01-01T00:00:00Z: file does not exist"}},
	}, {
		"files that are back", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(40 * time.Second)
			s.shows(1)
		}, []answer{{40 * time.Second, ""}},
	}} {
		t.Run(test.name, func(t *testing.T) {
			play(t, 0, func(s *stage) {
				test.act(s)
				for _, a := range test.answers {
					time.Sleep(time.Until(s.began.Add(a.at)))
					synctest.Wait()
					want := cmp.Or(a.want, "ok")
					if got := s.ready(); got != want {
						t.Errorf("after %v: %s, want %s", a.at, got, want)
					}
				}
			})
		})
	}
}

// A loop that is stuck must be found out, and nothing that is no longer so be shown.
func TestStuckLoop(t *testing.T) {
	play(t, 0, func(s *stage) {
		free := make(chan struct{})
		s.have(target(7))
		s.refuse = func(*signal.Target) error { <-free; return nil }
		s.shows(1)
		asked := time.Now()
		st, err := s.loop.Status(context.Background())
		if st != nil || err == nil || err.Error() != "the delivery loop is stuck: it has not answered for 3s" {
			t.Errorf("while the loop is stuck: %v, %v", st, err)
		}
		if took := time.Since(asked); took != answerWithin {
			t.Errorf("it took %v, want %v", took, answerWithin)
		}
		close(free)
		if _, err := s.loop.Status(context.Background()); err != nil {
			t.Errorf("after: %v", err)
		}
	})
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		name string
		act  func(*stage)
		want string
	}{{
		"before the first look", func(*stage) {},
		`{"mode":"inotify","targets":[]}`,
	}, {
		"no target", func(s *stage) { s.shows(1) },
		`{"failing_since":"2000-01-01T00:00:00Z","mode":"inotify","on_disk":{"digest":"010000000000"},"out_of_sync_since":"2000-01-01T00:00:00Z",` +
			`"pending":"no matching process: none is there","targets":[]}`,
	}, {
		"told, and what became of it", func(s *stage) {
			s.have(target(7))
			s.children.Store([]int{11})
			s.shows(1)
			time.Sleep(ms)
			s.children.Store([]int{12})
			time.Sleep(time.Minute)
		},
		`{"mode":"inotify","on_disk":{"digest":"010000000000"},"targets":[` +
			`{"delivered":{"digest":"010000000000","since":"2000-01-01T00:00:00Z"},"outcome":"replaced","pid":7,` +
			`"running":{"digest":"010000000000","since":"2000-01-01T00:00:00.01Z"}}]}`,
	}, {
		"MIN_INTERVAL", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(500 * ms)
			s.shows(2)
		},
		`{"mode":"inotify","on_disk":{"digest":"020000000000"},"out_of_sync_since":"2000-01-01T00:00:00.5Z","targets":[` +
			`{"delivered":{"digest":"010000000000","since":"2000-01-01T00:00:00Z"},"pending":"MIN_INTERVAL=1s since the last reload is not over","pid":7,"watched_until":"2000-01-01T00:00:05Z"}]}`,
	}, {
		"one of two fails", func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 8 {
					return syscall.EPERM
				}
				return nil
			}
			s.shows(1)
			time.Sleep(10 * time.Second)
			s.shows(2)
		},
		`{"mode":"inotify","on_disk":{"digest":"020000000000"},"out_of_sync_since":"2000-01-01T00:00:00Z","targets":[` +
			`{"delivered":{"digest":"020000000000","since":"2000-01-01T00:00:10Z"},"pending":"its effect is watched, for VERIFY=5s","pid":7,"watched_until":"2000-01-01T00:00:15Z"},` +
			`{"failing_since":"2000-01-01T00:00:00Z","pending":"operation not permitted","pid":8}]}`,
	}, {
		"files that cannot be read, with a change pending", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.shows(2)
			s.fails(2, fs.ErrPermission)
		},
		`{"failing_since":"2000-01-01T00:00:00Z","mode":"inotify","on_disk":{"digest":"020000000000"},"out_of_sync_since":"2000-01-01T00:00:00Z",` +
			`"pending":"permission denied","targets":[` +
			`{"delivered":{"digest":"010000000000","since":"2000-01-01T00:00:00Z"},"pending":"the files cannot be read","pid":7,"watched_until":"2000-01-01T00:00:05Z"}]}`,
	}, {
		"a target that has ended has no successor yet", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(1100 * ms)
			s.have()
			s.end()
			time.Sleep(time.Second)
		},
		`{"failing_since":"2000-01-01T00:00:01.1Z","mode":"inotify","on_disk":{"digest":"010000000000"},"pending":"no matching process: none is there","targets":[]}`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			play(t, 5*time.Second, func(s *stage) {
				test.act(s)
				synctest.Wait()
				if diff := gocmp.Diff(test.want, s.json(t)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestOutOfSync(t *testing.T) {
	for _, test := range []struct {
		name    string
		act     func(*stage)
		targets int
		overdue time.Duration // 0: in sync
	}{
		{"before the first look", func(*stage) { time.Sleep(time.Minute) }, 0, 0},
		{"no target has been found", func(s *stage) { s.shows(1); time.Sleep(time.Minute) }, 0, time.Minute},
		{"told", func(s *stage) { s.have(target(7)); s.shows(1); time.Sleep(time.Minute) }, 1, 0},
		{"it has read the files", func(s *stage) {
			s.have(&signal.Target{PID: 7, Started: changedAt + time.Hour})
			s.shows(1)
			time.Sleep(time.Minute)
		}, 1, 0},
		{"one of two has not been told", func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 8 {
					return syscall.EPERM
				}
				return nil
			}
			s.shows(1)
			time.Sleep(10 * time.Second)
			s.shows(2) // that it is newer content does not make it less long
			time.Sleep(10 * time.Second)
		}, 2, 20 * time.Second},
		{"MIN_INTERVAL", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.shows(2)
			time.Sleep(500 * ms)
		}, 1, 500 * ms},
		{"files that are gone", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(time.Minute)
		}, 1, time.Minute},
		{"files that are back", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(time.Minute)
			s.shows(1)
		}, 1, 0},
		{"a target that was told has ended", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.have()
			s.shows(1)
			time.Sleep(time.Minute)
		}, 0, 0},
		{"a target that has read the files at its start has ended", func(s *stage) {
			s.have(&signal.Target{PID: 7, Started: changedAt + time.Hour})
			s.shows(1)
			s.have()
			s.shows(1)
			time.Sleep(time.Minute)
		}, 0, 0},
		{"a change since then", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.have()
			s.refuse = func(*signal.Target) error { return signal.ErrGone }
			s.shows(2)
			time.Sleep(time.Minute)
		}, 0, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, 0, func(s *stage) {
				test.act(s)
				synctest.Wait()
				st := s.status()
				if outOfSync := !st.OutOfSync.IsZero(); outOfSync != (test.overdue > 0) || st.overdue() != test.overdue || len(st.Targets) != test.targets {
					t.Errorf("out of sync: %v, overdue for %v, %d targets; want %v, %v, %d",
						outOfSync, st.overdue(), len(st.Targets), test.overdue > 0, test.overdue, test.targets)
				}
			})
		})
	}
}

func TestCounts(t *testing.T) {
	play(t, time.Second, func(s *stage) {
		told := func(when, want string) {
			t.Helper()
			synctest.Wait()
			c := s.status().Figures.Counts
			last := time.Duration(-1)
			if !c.LastArrived.IsZero() {
				last = c.LastArrived.Sub(s.began)
			}
			got := fmt.Sprint(c.Changes, " changes, ", c.Arrived, " sent, ", c.HeldBack, " held back, ", c.Failed, " failed, ",
				c.Latency.Count, " in time, ", c.Late, " late, last after ", last, ", ", c.Outcomes)
			if got != want {
				t.Errorf("%s:\n%s, want\n%s", when, got, want)
			}
		}
		told("before the first look", "0 changes, 0 sent, 0 held back, 0 failed, 0 in time, 0 late, last after -1ns, map[]")
		s.have(target(7))
		s.refuse = func(*signal.Target) error {
			switch after := time.Since(s.began); {
			case after < 110*ms: // at 0, 20 and 60 ms
				return &signal.NotReadyError{Why: "it has no handler"}
			case after < 300*ms: // at 140 ms
				return syscall.EPERM
			default:
				return nil
			}
		}
		s.shows(1)
		time.Sleep(200 * ms)
		told("after failures", "0 changes, 0 sent, 3 held back, 1 failed, 0 in time, 0 late, last after -1ns, map[]")
		time.Sleep(10 * time.Second)
		s.shows(1)
		s.shows(2)
		time.Sleep(10 * time.Second)
		told("after two signals", "1 changes, 2 sent, 3 held back, 1 failed, 2 in time, 0 late, last after 10.2s, map[unseen:2]")
	})
}

// What DRY_RUN does not send is not counted as sent.
func TestDryRunCounts(t *testing.T) {
	playAs(t, config.Rule{Signal: syscall.SIGHUP, DryRun: true}, func(s *stage) {
		s.have(target(7))
		s.shows(1)
		st := s.status()
		if st.Figures.Counts.Arrived != 0 || st.Targets[0].Delivered != nil || !st.DryRun {
			t.Errorf("counted as sent: %+v", st)
		}
	})
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, v := range []float64{.0005, .001, .002, 400} {
		h.observe(v)
	}
	if h.Count != 4 || h.Sum != 400.0035 || h.Below[0] != 2 || h.Below[1] != 3 || h.Below[len(Buckets)-1] != 3 {
		t.Errorf("%+v", h)
	}
	if !slices.IsSorted(Buckets[:]) {
		t.Errorf("the bounds do not grow: %v", Buckets)
	}
}
