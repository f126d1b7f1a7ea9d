package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// All names and units are as Prometheus asks for, and its parser takes odd values.
func TestMetricsLint(t *testing.T) {
	s := &status{
		Digest: "0123456789ab", Signal: "a \"b\" \\ c\n", Mode: "poll", Changed: moment{time.Now()}, OutOfSync: moment{time.Now()},
		Targets: make([]targetStatus, 2), at: time.Now(), watchErrors: 3,
		counts: counts{outcomes: map[outcome]uint64{died: 1}},
	}
	s.counts.sent(7*time.Millisecond, false)
	for name, all := range map[string][]*status{"one rule": {s}, "two rules": {{Rule: "web"}, {Rule: "a \"b\""}}} {
		problems, err := promlint.New(bytes.NewReader(metrics(all, newNotifier("https://127.0.0.1/", "", slog.New(slog.DiscardHandler))))).Lint()
		if err != nil {
			t.Fatal(name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
}

// metrics are the lines of /metrics that begin with one of the names, less the
// common prefix, sorted.
func (s *stage) metrics(t *testing.T, names ...string) []string {
	t.Helper()
	synctest.Wait()
	code, body := s.get("/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	lines := regexp.MustCompile(`(?m)^podsignal_(?:`+strings.Join(names, "|")+`)(?:\{.*\})? .*$`).FindAllString(body, -1)
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "podsignal_")
	}
	slices.Sort(lines)
	return lines
}

func TestMetricsOutOfSync(t *testing.T) {
	for _, test := range []struct {
		name    string
		act     func(*stage)
		targets int
		seconds string // 0: in sync
	}{
		{"before the first look", func(*stage) { time.Sleep(time.Minute) }, 0, "0"},
		{"no target has been found", func(s *stage) { s.shows(1); time.Sleep(time.Minute) }, 0, "60"},
		{"told", func(s *stage) { s.have(target(7)); s.shows(1); time.Sleep(time.Minute) }, 1, "0"},
		{"it has read the files", func(s *stage) {
			s.have(&signal.Target{PID: 7, Started: changedAt + time.Hour})
			s.shows(1)
			time.Sleep(time.Minute)
		}, 1, "0"},
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
		}, 2, "20"},
		{"MIN_INTERVAL", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.shows(2)
			time.Sleep(500 * ms)
		}, 1, "0.5"},
		{"files that are gone", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(time.Minute)
		}, 1, "60"},
		{"files that are back", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.fails(1, fs.ErrNotExist)
			time.Sleep(time.Minute)
			s.shows(1)
		}, 1, "0"},
		{"a target that was told has ended", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.have()
			s.shows(1)
			time.Sleep(time.Minute)
		}, 0, "0"},
		{"a target that has read the files at its start has ended", func(s *stage) {
			s.have(&signal.Target{PID: 7, Started: changedAt + time.Hour})
			s.shows(1)
			s.have()
			s.shows(1)
			time.Sleep(time.Minute)
		}, 0, "0"},
		{"a change since then", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.have()
			s.refuse = func(*signal.Target) error { return signal.ErrGone }
			s.shows(2)
			time.Sleep(time.Minute)
		}, 0, "60"},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, 0, func(s *stage) {
				test.act(s)
				is := "1"
				if test.seconds == "0" {
					is = "0"
				}
				want := []string{"out_of_sync " + is, "out_of_sync_seconds " + test.seconds, fmt.Sprint("targets ", test.targets)}
				if diff := cmp.Diff(want, s.metrics(t, "out_of_sync", "out_of_sync_seconds", "targets")); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestMetricsCount(t *testing.T) {
	play(t, time.Second, func(s *stage) {
		told := func(when string, want ...string) {
			t.Helper()
			got := s.metrics(t, "config_changes_total", "config_digest_info", "signals_total", "change_to_signal_seconds_count", "reload_outcome_total",
				"signal_last_success_timestamp_seconds")
			got = slices.DeleteFunc(got, func(line string) bool { return strings.HasSuffix(line, " 0") })
			if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		told("before the first look")
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
		told("after failures", `config_digest_info{digest="010000000000"} 1`,
			`signals_total{result="failed",signal="HUP"} 1`, `signals_total{result="held_back",signal="HUP"} 3`)
		time.Sleep(10 * time.Second)
		s.shows(1)
		s.shows(2)
		time.Sleep(10 * time.Second)
		told("after two signals", `change_to_signal_seconds_count 2`, `config_changes_total 1`, `config_digest_info{digest="020000000000"} 1`,
			`reload_outcome_total{outcome="unseen"} 2`, `signal_last_success_timestamp_seconds 9.466848102e+08`,
			`signals_total{result="failed",signal="HUP"} 1`, `signals_total{result="held_back",signal="HUP"} 3`, `signals_total{result="sent",signal="HUP"} 2`)
	})
}

// What DRY_RUN does not send is not counted as sent.
func TestMetricsDryRun(t *testing.T) {
	r := rule{process: "web", signal: syscall.SIGHUP, dryRun: true}
	d := newDelivery(r, watcher.New(watcher.Options{}), signal.NewFinder(signal.Options{}), slog.New(slog.DiscardHandler))
	d.desired.Digest = [32]byte{1}
	d.ready = func(*signal.Target) error { return nil }
	told := &told{Target: target(7)}
	d.targets = append(d.targets, told)
	d.signal(told)
	st := d.status()
	if st.counts.arrived != 0 || !st.Targets[0].Signalled.IsZero() || !st.DryRun {
		t.Errorf("counted as sent: %+v", st)
	}
}

// Documents that were given up are not those that were dropped.
func TestMetricsNotifications(t *testing.T) {
	n := newNotifier("https://127.0.0.1/", "", slog.New(slog.DiscardHandler))
	n.sent.Store(1)
	n.failed.Store(2)
	n.dropped.Store(3)
	page := string(metrics([]*status{{}}, n))
	for _, want := range []string{`{result="sent"} 1`, `{result="failed"} 2`, `{result="dropped"} 3`} {
		if want = "podsignal_notifications_total" + want + "\n"; !strings.Contains(page, want) {
			t.Errorf("no line %s in\n%s", want, page)
		}
	}
	if page = string(metrics([]*status{{}}, nil)); strings.Contains(page, "notifications") {
		t.Errorf("without NOTIFY_URL the page tells of notifications:\n%s", page)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for _, v := range []float64{.0005, .001, .002, 400} {
		h.observe(v)
	}
	if h.count != 4 || h.sum != 400.0035 || h.below[0] != 2 || h.below[1] != 3 || h.below[len(buckets)-1] != 3 {
		t.Errorf("%+v", h)
	}
	if !slices.IsSorted(buckets[:]) {
		t.Errorf("the bounds do not grow: %v", buckets)
	}
}
