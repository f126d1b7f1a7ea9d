package main

import (
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal"
)

// The replicas of a workload spread over the whole time: as many in each tenth of it
// as chance would put there, and no long stretch without any.
func TestShareSpread(t *testing.T) {
	const names, tenths = 1000, 10
	random := rand.New(rand.NewPCG(1, 2))
	for kind, name := range map[string]func(i int) string{
		"StatefulSet": func(i int) string { return fmt.Sprint("web-", i) },
		"Deployment": func(int) string {
			suffix := make([]byte, 5)
			for i := range suffix {
				suffix[i] = "bcdfghjklmnpqrstvwxz2456789"[random.IntN(27)] // the letters that Kubernetes uses
			}
			return "web-6d4cf56db6-" + string(suffix)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			var shares []float64
			var in [tenths]int
			for i := range names {
				share := shareOf(name(i), time.Minute).Minutes()
				shares = append(shares, share)
				in[int(share*tenths)]++
			}
			slices.Sort(shares)

			// Binomial: of 1000 that fall there with p = 1/10, 100 on average, and
			// within 4 standard deviations of 9.5 in all but one of 16,000 cases.
			deviation := math.Sqrt(names * (1. / tenths) * (1 - 1./tenths))
			for i, n := range in {
				if math.Abs(float64(n)-names/tenths) > 4*deviation {
					t.Errorf("%d names in tenth %d, want 100 ± %.0f: %v", n, i, 4*deviation, in)
				}
			}
			// A gap of x comes up with a chance of less than names·exp(-names·x).
			gap, most := shares[0], math.Log(names*1000)/names
			for i, share := range shares[1:] {
				gap = max(gap, share-shares[i])
			}
			if gap = max(gap, 1-shares[names-1]); gap > most {
				t.Errorf("no name in %.2f %% of the time, which chance would do once in 1000 cases for %.2f %%", 100*gap, 100*most)
			}
			t.Logf("in tenths: %v; the longest gap is %.2f %%", in, 100*gap)
		})
	}
}

// Other releases must not wait otherwise: replicas of both may run at a time.
func TestShareIsSteady(t *testing.T) {
	for name, want := range map[string]time.Duration{
		"web-0": 3152609068, "web-1": 23020754417, "web-6d4cf56db6-x7k2p": 18399982709,
	} {
		if got := shareOf(name, 30*time.Second); got != want {
			t.Errorf("shareOf(%q, 30s) = %v, want %v", name, got, want)
		}
	}
}

func TestShareBounds(t *testing.T) {
	for _, splay := range []time.Duration{0, 1, 2, time.Second, math.MaxInt64} {
		for i := range 1000 {
			if share := shareOf(fmt.Sprint("web-", i), splay); share < 0 || share >= max(splay, 1) {
				t.Fatalf("shareOf(web-%d, %d) = %d", i, splay, share)
			}
		}
	}
}

// splay is a configuration of a replica that waits 10 s.
var splay = rule{signal: syscall.SIGHUP, minInterval: time.Second, splay: 30 * time.Second, share: 10 * time.Second}

func TestSplay(t *testing.T) {
	rarely := splay
	rarely.minInterval = 20 * time.Second
	for _, test := range []struct {
		name string
		rule rule
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

// What waits as it should is told once, and is nothing to be alarmed at.
func TestSplayIsNoTrouble(t *testing.T) {
	r := splay
	r.splay, r.share = time.Hour, 10*time.Minute
	_, log := playAs(t, r, func(s *stage) {
		s.have(target(7))
		s.refuse = until(11*time.Minute, syscall.EPERM)
		want := func(sync, seconds, pending string, ready int) {
			t.Helper()
			got := s.metrics(t, "out_of_sync", "out_of_sync_seconds")
			if diff := cmp.Diff([]string{"out_of_sync " + sync, "out_of_sync_seconds " + seconds}, got); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			if code, body := s.get("/readyz"); code != ready {
				t.Errorf("ready: %d %s, want %d", code, body, ready)
			}
			if _, body := s.get("/status"); strings.Contains(body, `"pending"`) != (pending != "") || !strings.Contains(body, pending) {
				t.Errorf("want %q in the status: %s", pending, body)
			}
		}
		const waits = `"pending": "waits until 2000-01-01T00:10:00Z, its share of SPLAY=1h0m0s"`
		s.shows(1)
		want("1", "0", waits, http.StatusOK)
		time.Sleep(8 * time.Minute)
		s.shows(2)
		time.Sleep(119 * time.Second)
		want("1", "0", waits, http.StatusOK)
		time.Sleep(41 * time.Second) // and now it fails for 40 s
		want("1", "40", "operation not permitted", http.StatusServiceUnavailable)
		time.Sleep(2 * time.Minute)
		want("0", "0", "", http.StatusOK)
	})
	const line = `level=INFO msg="signal waits for its share of SPLAY" file=/v process=web digest=010000000000 pid=7 splay=1h0m0s until=2000-01-01T00:10:00.000Z`
	if strings.Count(log, "SPLAY") != 1 || !strings.Contains(log, line) {
		t.Errorf("want SPLAY once, as %s, in:\n%s", line, log)
	}
}
