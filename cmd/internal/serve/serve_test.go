package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/logtest"
)

// deadline is for what must happen.
const deadline = 20 * time.Second

const ms = time.Millisecond

// statuses are what the loops answer.
func statuses(all ...deliver.Status) (asked []func(context.Context) (*deliver.Status, error)) {
	for _, s := range all {
		asked = append(asked, func(context.Context) (*deliver.Status, error) { return &s, nil })
	}
	return asked
}

// found is what podsignal check finds.
func found() ([]*check.Report, error) {
	return []*check.Report{{Verdict: check.LevelOK, Processes: []check.ProcessReport{{PID: 7, UID: 101}}}}, nil
}

// get is what a page says.
func get(opts Options, path string) (code int, body string) {
	w := httptest.NewRecorder()
	newPages(opts).handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestPages(t *testing.T) {
	digest := &deliver.Digest{Digest: "0123456789ab"}
	opts := Options{
		Status: statuses(deliver.Status{
			Files: []string{"/v"}, Process: "web", Signal: "HUP", Mode: "inotify", OnDisk: digest,
			Targets: []deliver.TargetStatus{{PID: 7, Delivered: digest, Running: digest}, {PID: 8, Rejected: &deliver.Rejection{Digest: deliver.Digest{Digest: "ba9876543210"}, Outcome: "refused"}}},
		}),
		Examine: found,
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/": strings.TrimSpace(index)} {
		if code, body := get(opts, path); code != http.StatusOK || body != want {
			t.Errorf("%s: %d %s, want %s", path, code, body, want)
		}
	}
	_, body := get(opts, "/status")
	var page map[string]any
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("ok", page["check"].(map[string]any)["verdict"]); diff != "" {
		t.Errorf("check's verdict (-want +got):\n%s", diff)
	}
	delete(page, "check")
	shown := map[string]any{"digest": "0123456789ab"}
	want := map[string]any{
		"version": build.Version, "file": []any{"/v"}, "process": "web", "signal": "HUP", "mode": "inotify", "on_disk": shown,
		"targets": []any{
			map[string]any{"pid": 7., "delivered": shown, "running": shown, "uid": 101.},
			map[string]any{"pid": 8., "rejected": map[string]any{"digest": "ba9876543210", "outcome": "refused"}},
		},
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("/status (-want +got):\n%s", diff)
	}
}

// A loop that is stuck must be found out, and nothing that is no longer so be shown.
func TestStuckLoop(t *testing.T) {
	opts := Options{Examine: found, Status: []func(context.Context) (*deliver.Status, error){
		func(context.Context) (*deliver.Status, error) { return nil, errors.New("the delivery loop is stuck") },
	}}
	for _, path := range []string{"/", "/healthz", "/readyz", "/status", "/metrics"} {
		if code, body := get(opts, path); code != http.StatusServiceUnavailable || body != "the delivery loop is stuck" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// With RULES each error has the name of its rule.
func TestPagesOfRules(t *testing.T) {
	long := time.Now().Add(-time.Hour)
	handler := newPages(Options{
		Status: statuses(
			deliver.Status{Rule: "web", OnDisk: &deliver.Digest{Digest: "0123456789ab"}, Figures: deliver.Figures{At: time.Now()}},
			deliver.Status{Rule: "mail", OnDisk: &deliver.Digest{Digest: "0123456789ab"}, Pending: "no target", Failing: deliver.Moment{Time: long}, Figures: deliver.Figures{At: time.Now()}},
		),
		Examine: func() ([]*check.Report, error) {
			return []*check.Report{{Rule: "web", Verdict: check.LevelWarn}, {Rule: "mail", Verdict: check.LevelFail}}, nil
		},
	}).handler()
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
	if all.Version != build.Version || len(all.Rules) != 2 || all.Rules[1].Rule != "mail" || all.Rules[1].Version != nil {
		t.Errorf("/status is %s", body)
	}
	for i, want := range []string{"warn", "fail"} {
		if r := all.Rules[i]; r.Check.Rule != r.Rule || r.Check.Verdict != want {
			t.Errorf("the check of rule %s is %+v, want %s", r.Rule, r.Check, want)
		}
	}
}

func TestReadOnly(t *testing.T) {
	handler := newPages(Options{Status: statuses(deliver.Status{}), Examine: found}).handler()
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
	handler := newPages(Options{Status: statuses(deliver.Status{}), Examine: found}).handler()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("%q", got)
	}
}

// A client that never ends its request does not keep podsignal from ending.
func TestListenEnds(t *testing.T) {
	var log logtest.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	hanging := []func(context.Context) (*deliver.Status, error){func(ctx context.Context) (*deliver.Status, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, "127.0.0.1:0", Options{Status: hanging}, slog.New(slog.NewTextHandler(&log, nil)))
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
	case <-time.After(2 * time.Second): // the timeouts are longer
		t.Error("has not ended")
	}
}
