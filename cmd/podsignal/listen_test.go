package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal"
)

// get is what a page says.
func (s *stage) get(path string) (code int, body string) {
	w := httptest.NewRecorder()
	handler := pages(func(ctx context.Context) ([]*status, error) { return askAll(ctx, []loop{{"", s.asked}}) }, found, nil)
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
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

func TestReadyz(t *testing.T) {
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
		[]answer{{0, "the first look at the files is not over"}, {time.Hour, "the first look at the files is not over"}},
	}, {
		"a first look that failed", func(s *stage) { s.fails(0, fs.ErrPermission) },
		[]answer{{0, "permission denied"}, {time.Hour, "permission denied"}},
	}, {
		"all is well", func(s *stage) { s.have(target(7)); s.shows(1) },
		[]answer{{0, ""}, {time.Hour, ""}},
	}, {
		"no target", func(s *stage) { s.shows(1) },
		[]answer{{30 * time.Second, ""}, {31 * time.Second, "since 2000-01-01T00:00:00Z: no target: none is there"}},
	}, {
		"a target that comes late", func(s *stage) {
			s.shows(1)
			time.Sleep(40 * time.Second)
			s.have(target(7))
		}, []answer{{40 * time.Second, "since 2000-01-01T00:00:00Z: no target: none is there"}, {45 * time.Second, ""}},
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
					want := fmt.Sprintf("%d %s", http.StatusServiceUnavailable, a.want)
					if a.want == "" {
						want = "200 ok"
					}
					code, body := s.get("/readyz")
					if got := fmt.Sprint(code, " ", body); got != want {
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
		if code, body := s.get("/healthz"); code != http.StatusOK || body != "ok" {
			t.Errorf("before: %d %s", code, body)
		}
		s.shows(1)
		for _, path := range []string{"/", "/healthz", "/readyz", "/status", "/metrics"} {
			asked := time.Now()
			code, body := s.get(path)
			if code != http.StatusServiceUnavailable || body != "the delivery loop is stuck: it has not answered for 3s" {
				t.Errorf("%s while the loop is stuck: %d %s", path, code, body)
			}
			if took := time.Since(asked); took != answerWithin {
				t.Errorf("%s answered after %v, want %v", path, took, answerWithin)
			}
		}
		close(free)
		if code, body := s.get("/healthz"); code != http.StatusOK {
			t.Errorf("after: %d %s", code, body)
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
		`{"digest":"010000000000","failing_since":"2000-01-01T00:00:00Z","mode":"inotify","out_of_sync_since":"2000-01-01T00:00:00Z",` +
			`"pending":"no target: none is there","targets":[]}`,
	}, {
		"told, and what became of it", func(s *stage) {
			s.have(target(7))
			s.children.Store([]int{11})
			s.shows(1)
			time.Sleep(ms)
			s.children.Store([]int{12})
			time.Sleep(time.Minute)
		},
		`{"digest":"010000000000","mode":"inotify","targets":[` +
			`{"applied":"010000000000","outcome":"replaced","pid":7,"signalled":"2000-01-01T00:00:00Z","uid":101}]}`,
	}, {
		"MIN_INTERVAL", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(500 * ms)
			s.shows(2)
		},
		`{"digest":"020000000000","mode":"inotify","out_of_sync_since":"2000-01-01T00:00:00.5Z","targets":[` +
			`{"applied":"010000000000","pending":"MIN_INTERVAL=1s since the last signal is not over","pid":7,"signalled":"2000-01-01T00:00:00Z","uid":101}]}`,
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
		`{"digest":"020000000000","mode":"inotify","out_of_sync_since":"2000-01-01T00:00:00Z","targets":[` +
			`{"applied":"020000000000","outcome":"unseen","pid":7,"signalled":"2000-01-01T00:00:10Z","uid":101},` +
			`{"failing_since":"2000-01-01T00:00:00Z","pending":"operation not permitted","pid":8}]}`,
	}, {
		"files that cannot be read, with a change pending", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			s.shows(2)
			s.fails(2, fs.ErrPermission)
		},
		`{"digest":"020000000000","failing_since":"2000-01-01T00:00:00Z","mode":"inotify","out_of_sync_since":"2000-01-01T00:00:00Z",` +
			`"pending":"permission denied","targets":[` +
			`{"applied":"010000000000","pending":"the files cannot be read","pid":7,"signalled":"2000-01-01T00:00:00Z","uid":101}]}`,
	}, {
		"a target that has ended has no successor yet", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(1100 * ms)
			s.have()
			s.ended.Store(true)
			time.Sleep(time.Second)
		},
		`{"digest":"010000000000","failing_since":"2000-01-01T00:00:01.14Z","mode":"inotify","pending":"no target: none is there","targets":[]}`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			play(t, 5*time.Second, func(s *stage) {
				test.act(s)
				synctest.Wait()
				code, body := s.get("/status")
				if code != http.StatusOK {
					t.Fatalf("%d %s", code, body)
				}
				var page map[string]any
				if err := json.Unmarshal([]byte(body), &page); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff("ok", page["check"].(map[string]any)["verdict"]); diff != "" {
					t.Errorf("check's verdict (-want +got):\n%s", diff)
				}
				delete(page, "check")
				known := map[string]any{"version": version, "file": []any{"/v"}, "process": "web", "signal": "HUP"}
				for key, want := range known {
					if diff := cmp.Diff(want, page[key]); diff != "" {
						t.Errorf("%s (-want +got):\n%s", key, diff)
					}
					delete(page, key)
				}
				// These count from the machine's boot.
				delete(page, "changed")
				for _, target := range page["targets"].([]any) {
					delete(target.(map[string]any), "started")
				}
				got, err := json.Marshal(page)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, string(got)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// With RULES each fault is told with the name of its rule.
func TestPagesOfRules(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	rules := []*status{
		{Rule: "web", Digest: "0123456789ab", at: time.Now()},
		{Rule: "mail", Digest: "0123456789ab", Pending: "no target", Failing: moment{long}, at: time.Now()},
	}
	find := func(context.Context) ([]*report, error) {
		return []*report{{Rule: "web", Verdict: levelWarn}, {Rule: "mail", Verdict: levelFail}}, nil
	}
	handler := pages(func(context.Context) ([]*status, error) { return rules, nil }, find, nil)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	want := "rule mail: since " + long.UTC().Format(time.RFC3339) + ": no target"
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || body != want {
		t.Errorf("%d %s, want 503 %s", code, body, want)
	}
	_, body := get("/status")
	var all struct {
		Version string
		Rules   []struct {
			Rule    string
			Version *string
			Check   struct{ Rule, Verdict string }
		}
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	if all.Version != version || len(all.Rules) != 2 || all.Rules[1].Rule != "mail" || all.Rules[1].Version != nil {
		t.Errorf("/status is %s", body)
	}
	for i, want := range []string{"warn", "fail"} {
		if r := all.Rules[i]; r.Check.Rule != r.Rule || r.Check.Verdict != want {
			t.Errorf("the check of rule %s is %+v, want %s", r.Rule, r.Check, want)
		}
	}
}

func TestReadOnly(t *testing.T) {
	handler := pages(func(context.Context) ([]*status, error) { return []*status{{}}, nil }, found, nil)
	for _, path := range []string{"/", "/healthz", "/readyz", "/status", "/metrics"} {
		for method, want := range map[string]bool{
			http.MethodGet: true, http.MethodHead: true,
			http.MethodPost: false, http.MethodPut: false, http.MethodDelete: false,
		} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if got := w.Code != http.StatusMethodNotAllowed; got != want {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
}

// What Prometheus takes the metrics for (text format 0.0.4).
func TestMetricsContentType(t *testing.T) {
	w := httptest.NewRecorder()
	handler := pages(func(context.Context) ([]*status, error) { return []*status{{}}, nil }, found, nil)
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("%q", got)
	}
}

// A client that never ends its request does not keep podsignal from ending.
func TestListenEnds(t *testing.T) {
	var log logBuffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- listen(ctx, config{listen: "127.0.0.1:0"}, []loop{{"", make(chan chan<- *status)}}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	var address string
	for end := time.Now().Add(deadline); address == "" && time.Now().Before(end); time.Sleep(ms) {
		_, address, _ = strings.Cut(strings.TrimSpace(log.String()), "address=")
	}
	for _, request := range []string{"", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		fmt.Fprint(conn, request)
	}
	begin := time.Now()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
		t.Logf("ended after %v", time.Since(begin))
	case <-time.After(2 * time.Second): // answerWithin and the timeouts are longer
		t.Error("has not ended")
	}
}

func TestListenAddress(t *testing.T) {
	for address, want := range map[string]bool{
		":9533": true, "0.0.0.0:9533": true, "127.0.0.1:0": true, "[::]:9533": true, "[::1]:9533": true, "localhost:9533": true,
		"9533": false, ":": false, ":http": false, ":65536": false, ":-1": false, "::1:9533": false,
		"localhost": false, "http://localhost:9533": false, "/metrics:9533": false, "a b:9533": false, "": false,
	} {
		if got := isAddress(address); got != want {
			t.Errorf("isAddress(%q) = %t", address, got)
		}
	}
}

// found is what podsignal check finds.
func found(context.Context) ([]*report, error) {
	return []*report{{Verdict: levelOK, Processes: []processReport{{PID: 7, UID: 101}}}}, nil
}
