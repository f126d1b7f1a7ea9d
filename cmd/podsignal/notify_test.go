package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var discard = slog.New(slog.DiscardHandler)

func TestSentence(t *testing.T) {
	nginx := func(seen outcome) notice {
		return notice{
			File: "/etc/nginx/conf.d", DigestAfter: "24bb1dda9425", Process: "nginx", PID: 7, Signal: "HUP",
			Outcome: seen, Pod: "web-5d9c", Namespace: "prod",
		}
	}
	with := func(n notice, change func(*notice)) notice {
		change(&n)
		return n
	}
	prometheus := notice{
		File: "/etc/prometheus,/etc/rules", DigestAfter: "24bb1dda9425", ReloadURL: "http://127.0.0.1:9090/-/reload",
		Pod: "prometheus-0", Namespace: "monitoring",
	}
	for _, test := range []struct {
		name string
		of   notice
		want string
	}{
		{"kept", nginx(kept), "podsignal: prod/web-5d9c: nginx kept its workers after HUP: it refused /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"died", nginx(died), "podsignal: prod/web-5d9c: nginx died after HUP: it was told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"ended", nginx(ended), "podsignal: prod/web-5d9c: nginx ended after HUP: it was told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"restarted", nginx(restarted), "podsignal: prod/web-5d9c: nginx was restarted after HUP: it was told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"replaced", nginx(replaced), "podsignal: prod/web-5d9c: nginx replaced its workers after HUP: it was told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"read", nginx(read), "podsignal: prod/web-5d9c: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP"},
		{"unseen", nginx(unseen), "podsignal: prod/web-5d9c: nginx showed no effect after HUP: it was told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{
			"accepted",
			notice{ReloadURL: "http://127.0.0.1:9090/-/reload", File: "/etc/prometheus", DigestAfter: "24bb1dda9425", Outcome: accepted},
			"podsignal: http://127.0.0.1:9090/-/reload accepted /etc/prometheus (digest 24bb1dda9425)",
		},
		{"no outcome", nginx(""), "podsignal: prod/web-5d9c: nginx was told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"undelivered", nginx(undelivered), "podsignal: prod/web-5d9c: nginx has not been told of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{
			"undelivered, and why", with(nginx(undelivered), func(n *notice) { n.Cause = "no process is named nginx\nno other either" }),
			"podsignal: prod/web-5d9c: nginx has not been told of /etc/nginx/conf.d (digest 24bb1dda9425): no process is named nginx no other either",
		},
		{
			"a rule", with(nginx(read), func(n *notice) { n.Rule = "certificates" }),
			"podsignal: prod/web-5d9c: certificates: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
		},
		{
			"no namespace", with(nginx(read), func(n *notice) { n.Namespace = "" }),
			"podsignal: web-5d9c: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
		},
		{
			"no pod", with(nginx(read), func(n *notice) { n.Pod = "" }),
			"podsignal: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
		},
		{"a URL", prometheus, "podsignal: monitoring/prometheus-0: http://127.0.0.1:9090/-/reload was told of /etc/prometheus,/etc/rules (digest 24bb1dda9425)"},
		{
			"a URL and a process", with(prometheus, func(n *notice) { n.Process, n.Outcome = "prometheus", died }),
			"podsignal: monitoring/prometheus-0: prometheus died after a call of http://127.0.0.1:9090/-/reload: it was told of /etc/prometheus,/etc/rules (digest 24bb1dda9425)",
		},
		{
			"a URL that refuses", with(prometheus, func(n *notice) { n.Outcome, n.Cause = undelivered, "500 Internal Server Error" }),
			"podsignal: monitoring/prometheus-0: http://127.0.0.1:9090/-/reload has not been told of /etc/prometheus,/etc/rules (digest 24bb1dda9425): 500 Internal Server Error",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.of.sentence()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A hook is the far end of a notifier, in fake time.
type hook struct {
	*notifier
	log    logBuffer
	began  time.Time
	tries  []string // when, and of which notice
	answer func(request *http.Request, try int) (code int, err error)
}

func (h *hook) RoundTrip(request *http.Request) (*http.Response, error) {
	var got notice
	if err := json.NewDecoder(request.Body).Decode(&got); err != nil {
		return nil, err
	}
	h.tries = append(h.tries, fmt.Sprint(time.Since(h.began), " ", got.Rule))
	code, err := h.answer(request, len(h.tries))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: make(http.Header)}, nil
}

// begin starts a task. The function that it returns ends it, with nil.
func begin(t *testing.T, run func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ends with %v, want nil", err)
		}
	}
}

// inFakeTime runs a notifier until act returns.
func inFakeTime(t *testing.T, answer func(*http.Request, int) (int, error), act func(*hook)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hook{began: time.Now(), answer: answer}
		h.notifier = newNotifier("https://user:s3cret@hooks.example/s3cret?s3cret", "", slog.New(slog.NewTextHandler(&h.log, nil)))
		h.endpoint.transport = h
		end := begin(t, h.run)
		act(h)
		before := time.Now()
		end()
		if took := time.Since(before); took != 0 {
			t.Errorf("run ends after %v, want at once", took)
		}
		if strings.Contains(h.log.String(), hidden) {
			t.Errorf("the log tells a secret:\n%s", h.log.String())
		}
	})
}

// want checks what the notifier counts and has logged.
func (h *hook) want(t *testing.T, sent, failed, dropped uint64, warnings ...string) {
	t.Helper()
	s, f, d := h.counts()
	if s != sent || f != failed || d != dropped {
		t.Errorf("sent %d, failed %d, dropped %d; want %d, %d, %d", s, f, d, sent, failed, dropped)
	}
	var got []string
	for line := range strings.Lines(h.log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
		got = append(got, strings.TrimPrefix(line, `WARN msg="a notice is lost, later ones may be too: look at NOTIFY_URL and its host" host=hooks.example err=`))
	}
	if diff := cmp.Diff(warnings, got); diff != "" {
		t.Errorf("warnings -want +got\n%s", diff)
	}
}

func TestNotifyTries(t *testing.T) {
	always := func(code int) func(*http.Request, int) (int, error) {
		return func(*http.Request, int) (int, error) { return code, nil }
	}
	first := func(failures ...any) func(*http.Request, int) (int, error) {
		return func(_ *http.Request, try int) (int, error) {
			if try > len(failures) {
				return http.StatusOK, nil
			}
			switch failure := failures[try-1].(type) {
			case error:
				return 0, failure
			default:
				return failure.(int), nil
			}
		}
	}
	// From 1 s to 1 min, as long as the notice is not older than 10 min.
	whole := []string{
		"0s a", "1s a", "3s a", "7s a", "15s a", "31s a", "1m3s a", "2m3s a", "3m3s a", "4m3s a", "5m3s a", "6m3s a", "7m3s a", "8m3s a", "9m3s a",
	}
	for _, test := range []struct {
		name         string
		answer       func(*http.Request, int) (int, error)
		tries        []string
		sent, failed uint64
		warnings     []string
	}{
		{name: "at once", answer: always(200), tries: []string{"0s a"}, sent: 1},
		{name: "without content", answer: always(204), tries: []string{"0s a"}, sent: 1},
		{name: "after some failures", answer: first(io.EOF, 500, 429, 503), tries: whole[:5], sent: 1},
		{
			name: "never there", answer: func(*http.Request, int) (int, error) { return 0, io.EOF }, tries: whole, failed: 1,
			warnings: []string{`"given up after 10m0s: it closed the connection without an answer: read its log, and use https:// in NOTIFY_URL if it speaks TLS"`},
		},
		{
			name: "never well", answer: always(502), tries: whole, failed: 1,
			warnings: []string{`"given up after 10m0s: it answers 502 Bad Gateway"`},
		},
		{
			name: "a slow one", // 10 s for each try, and the same waits
			answer: func(r *http.Request, _ int) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			},
			tries: []string{
				"0s a", "11s a", "23s a", "37s a", "55s a", "1m21s a", "2m3s a", "3m13s a", "4m23s a", "5m33s a", "6m43s a", "7m53s a", "9m3s a",
			},
			failed:   1,
			warnings: []string{`"given up after 10m0s: no answer within 10s: read its log: i/o timeout"`},
		},
		{
			name: "a wrong address", answer: always(404), tries: []string{"0s a"}, failed: 1,
			warnings: []string{`"it answers 404 Not Found: correct NOTIFY_URL"`},
		},
		{
			name: "no notice for this one", answer: first(503, 400), tries: []string{"0s a", "1s a"}, failed: 1,
			warnings: []string{`"it answers 400 Bad Request: correct NOTIFY_URL"`},
		},
		{
			name: "a redirect", answer: always(302), tries: []string{"0s a"}, failed: 1,
			warnings: []string{`"it answers 302 Found, and redirects are not followed: correct NOTIFY_URL"`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFakeTime(t, test.answer, func(h *hook) {
				h.post(notice{Rule: "a"})
				time.Sleep(time.Hour)
				h.want(t, test.sent, test.failed, 0, test.warnings...)
				if diff := cmp.Diff(test.tries, h.tries); diff != "" {
					t.Errorf("tries -want +got\n%s", diff)
				}
			})
		})
	}
}

// While one is tried again, 16 more wait. Others are dropped, which is told once with
// the cause, and again only when one has arrived meanwhile.
func TestNotifyDrops(t *testing.T) {
	var down atomic.Bool
	answer := func(*http.Request, int) (int, error) {
		if down.Load() {
			return 0, errors.New(hidden)
		}
		return 200, nil
	}
	const dropped = `"16 others wait already: what answers there is not HTTP/1.1: correct the port in NOTIFY_URL, or use https:// if it speaks TLS"`
	inFakeTime(t, answer, func(h *hook) {
		post := func(n int) {
			for i := range n {
				h.post(notice{Rule: fmt.Sprint(i)})
			}
		}
		down.Store(true)
		post(1)
		synctest.Wait()
		post(20)
		h.want(t, 0, 0, 4, dropped)

		down.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		h.want(t, 17, 0, 4, dropped)
		var got, want []string
		for i, try := range h.tries[2:] { // after the first notice's two
			got, want = append(got, try), append(want, fmt.Sprint("1s ", i))
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got) != 16 {
			t.Errorf("tries -want +got\n%s", diff)
		}

		down.Store(true)
		post(1)
		time.Sleep(time.Hour)
		post(1)
		time.Sleep(time.Hour)
		h.want(t, 17, 2, 4, dropped,
			`"given up after 10m0s: what answers there is not HTTP/1.1: correct the port in NOTIFY_URL, or use https:// if it speaks TLS"`)
	})
}

// Those that have waited too long are given up after one round of tries, not each after
// 10 more minutes.
func TestNotifyAge(t *testing.T) {
	answer := func(*http.Request, int) (int, error) { return 500, nil }
	inFakeTime(t, answer, func(h *hook) {
		for i := range 17 {
			h.post(notice{Rule: fmt.Sprint(i)})
			synctest.Wait()
		}
		time.Sleep(11 * time.Minute)
		h.want(t, 0, 17, 0, `"given up after 10m0s: it answers 500 Internal Server Error"`)
	})
}

// A notifier that hangs in a try ends as fast as one that waits for the next, or for a notice.
func TestNotifyEnds(t *testing.T) {
	hangs := func(r *http.Request, _ int) (int, error) {
		<-r.Context().Done()
		return 0, r.Context().Err()
	}
	for _, test := range []struct {
		name  string
		after time.Duration
	}{{"in a try", 5 * time.Second}, {"between tries", 10*time.Second + 500*time.Millisecond}} {
		t.Run(test.name, func(t *testing.T) {
			inFakeTime(t, hangs, func(h *hook) {
				h.post(notice{})
				time.Sleep(test.after)
				h.want(t, 0, 0, 0)
			})
		})
	}
	inFakeTime(t, hangs, func(*hook) { synctest.Wait() })
}

// What arrives by TLS at a real server, and in which form.
func TestNotifyDocument(t *testing.T) {
	type request struct{ head, body string }
	got := make(chan request, 1)
	server := plain(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing then is seen below
		user, password, _ := r.BasicAuth()
		got <- request{fmt.Sprintln(r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("User-Agent"), user, password), string(body)}
		_, _ = io.WriteString(w, hidden)
	}, (*httptest.Server).StartTLS)
	var log logBuffer
	address := strings.Replace(server.URL, "//", "//user:s3cret@", 1) + "/hook/s3cret?key=s3cret"
	for _, test := range []struct {
		name string
		of   notice
		want string // on lines, for people
	}{
		{
			"a signal",
			notice{
				Rule: "site", File: "/etc/nginx/conf.d", DigestBefore: "0123456789ab", DigestAfter: "24bb1dda9425",
				Process: "nginx", PID: 7, Signal: "HUP", Outcome: kept, Pod: "web-5d9c", Namespace: "prod",
				Time: time.Date(2026, 11, 21, 8, 0, 0, 123456789, time.FixedZone("", 3600)),
			},
			`{"text":"podsignal: prod/web-5d9c: site: nginx kept its workers after HUP: it refused /etc/nginx/conf.d (digest 24bb1dda9425)",
"rule":"site","file":"/etc/nginx/conf.d","digestBefore":"0123456789ab","digestAfter":"24bb1dda9425",
"process":"nginx","pid":7,"signal":"HUP","outcome":"kept","pod":"web-5d9c","namespace":"prod","time":"2026-11-21T07:00:00Z"}
`,
		},
		{
			"a call",
			notice{
				Text: "as <given> & taken", File: "/a", DigestAfter: "24bb1dda9425", ReloadURL: "http://user:s3cret@app/reload?s3cret",
				Outcome: undelivered, Cause: "500", Time: time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC),
			},
			`{"text":"as <given> & taken",
"file":"/a","digestAfter":"24bb1dda9425","reloadUrl":"http://app/reload","outcome":"undelivered","cause":"500","time":"2026-11-21T07:00:00Z"}
`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNotifier(address, authority(t, server), slog.New(slog.NewTextHandler(&log, nil)))
			end := begin(t, n.run)
			n.post(test.of)
			r := <-got
			for last := time.Now().Add(deadline); n.sent.Load() == 0 && time.Now().Before(last); {
				time.Sleep(time.Millisecond)
			}
			end()
			if sent, failed, dropped := n.counts(); sent != 1 || failed != 0 || dropped != 0 {
				t.Errorf("%d sent, %d failed, %d dropped, want the one sent", sent, failed, dropped)
			}
			head := "POST /hook/s3cret?key=s3cret application/json podsignal/dev user s3cret\n"
			want := request{head, strings.ReplaceAll(strings.TrimSuffix(test.want, "\n"), "\n", "") + "\n"}
			if diff := cmp.Diff(want, r, cmp.AllowUnexported(request{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	if log.String() != "" {
		t.Errorf("the log says %s", log.String())
	}

	// Without the authority nothing arrives, and why is told without the URL.
	n := newNotifier(address, "", discard)
	again, err := n.try(t.Context(), nil)
	if want := "its certificate is of an unknown authority: set NOTIFY_CA_FILE to a file with the authority's, in PEM"; !again || err == nil || err.Error() != want {
		t.Errorf("another try: %v, error %v, want true and %s", again, err, want)
	}
}

func TestCheckNotifyURL(t *testing.T) {
	for value, want := range map[string]string{
		"https://user:s3cret@hooks.example/services/s3cret?s3cret": "",
		"hooks.example/services/s3cret":                            "is no URL that begins with http:// or https:// and a host: use one such as https://hooks.example.com/services/ID",
		"https://hooks.example/%s3cret":                            "is no URL that begins with http:// or https:// and a host: use one such as https://hooks.example.com/services/ID",
	} {
		got := ""
		if err := checkNotifyURL(value); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
	for value, want := range map[string]string{
		"https://user:s3cret@hooks.example:8443/s3cret?s3cret#s3cret": "hooks.example:8443",
		"hooks.example/s3cret":          "",
		"https://hooks.example/%s3cret": "",
	} {
		if got := hostOf(value); got != want {
			t.Errorf("the host of %s is %q, want %q", value, got, want)
		}
	}
}
