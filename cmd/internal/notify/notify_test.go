package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/httpcall/calltest"
	"github.com/podsignal/podsignal/cmd/internal/logtest"
	"github.com/podsignal/podsignal/cmd/internal/verify"
)

var discard = slog.New(slog.DiscardHandler)

func TestSentence(t *testing.T) {
	nginx := func(seen verify.Outcome) Notification {
		return Notification{
			File: "/etc/nginx/conf.d", DigestAfter: "24bb1dda9425", Process: "nginx", PID: 7, Signal: "HUP",
			Outcome: seen, Pod: "web-5d9c", Namespace: "prod",
		}
	}
	with := func(n Notification, change func(*Notification)) Notification {
		change(&n)
		return n
	}
	prometheus := Notification{
		File: "/etc/prometheus,/etc/rules", DigestAfter: "24bb1dda9425", ReloadURL: "http://127.0.0.1:9090/-/reload",
		Pod: "prometheus-0", Namespace: "monitoring",
	}
	for _, test := range []struct {
		name string
		of   Notification
		want string
	}{
		{
			"refused", with(nginx(verify.Refused), func(n *Notification) { n.Cause = "its workers were not replaced" }),
			"podsignal: prod/web-5d9c: nginx rejected /etc/nginx/conf.d (digest 24bb1dda9425) after HUP: its workers were not replaced",
		},
		{
			"invalid", with(nginx(verify.Invalid), func(n *Notification) { n.Cause = "VALIDATE failed: exit status 1" }),
			"podsignal: prod/web-5d9c: /etc/nginx/conf.d (digest 24bb1dda9425) is invalid, and nginx was not notified of it: VALIDATE failed: exit status 1",
		},
		{"resolved", nginx(verify.Resolved), "podsignal: prod/web-5d9c: resolved: nginx has /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"died", nginx(verify.Died), "podsignal: prod/web-5d9c: nginx died after HUP for /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"ended", nginx(verify.Ended), "podsignal: prod/web-5d9c: nginx ended after HUP for /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"restarted", nginx(verify.Restarted), "podsignal: prod/web-5d9c: nginx was restarted after HUP for /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"replaced", nginx(verify.Replaced), "podsignal: prod/web-5d9c: nginx replaced its workers after HUP for /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"read", nginx(verify.Read), "podsignal: prod/web-5d9c: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP"},
		{"unseen", nginx(verify.Unseen), "podsignal: prod/web-5d9c: nginx showed no effect after HUP for /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{
			"accepted",
			Notification{ReloadURL: "http://127.0.0.1:9090/-/reload", File: "/etc/prometheus", DigestAfter: "24bb1dda9425", Outcome: verify.Accepted},
			"podsignal: http://127.0.0.1:9090/-/reload accepted /etc/prometheus (digest 24bb1dda9425)",
		},
		{"no outcome", nginx(""), "podsignal: prod/web-5d9c: nginx was notified of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{"undelivered", nginx(verify.Undelivered), "podsignal: prod/web-5d9c: nginx was not notified of /etc/nginx/conf.d (digest 24bb1dda9425)"},
		{
			"undelivered, and why", with(nginx(verify.Undelivered), func(n *Notification) { n.Cause = "no process is named nginx\nno other either" }),
			"podsignal: prod/web-5d9c: nginx was not notified of /etc/nginx/conf.d (digest 24bb1dda9425): no process is named nginx no other either",
		},
		{
			"a rule", with(nginx(verify.Read), func(n *Notification) { n.Rule = "certificates" }),
			"podsignal: prod/web-5d9c: certificates: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
		},
		{
			"no namespace", with(nginx(verify.Read), func(n *Notification) { n.Namespace = "" }),
			"podsignal: web-5d9c: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
		},
		{
			"no pod", with(nginx(verify.Read), func(n *Notification) { n.Pod = "" }),
			"podsignal: nginx read /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
		},
		{"a URL", prometheus, "podsignal: monitoring/prometheus-0: http://127.0.0.1:9090/-/reload was notified of /etc/prometheus,/etc/rules (digest 24bb1dda9425)"},
		{
			"a URL and a process", with(prometheus, func(n *Notification) { n.Process, n.Outcome = "prometheus", verify.Died }),
			"podsignal: monitoring/prometheus-0: prometheus died after a call of http://127.0.0.1:9090/-/reload for /etc/prometheus,/etc/rules (digest 24bb1dda9425)",
		},
		{
			"a URL that refuses", with(prometheus, func(n *Notification) { n.Outcome, n.Cause = verify.Undelivered, "500 Internal Server Error" }),
			"podsignal: monitoring/prometheus-0: http://127.0.0.1:9090/-/reload was not notified of /etc/prometheus,/etc/rules (digest 24bb1dda9425): 500 Internal Server Error",
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
	*Notifier
	log    logtest.Buffer
	began  time.Time
	tries  []string // when, and of which Notification
	answer func(request *http.Request, try int) (code int, err error)
}

func (h *hook) RoundTrip(request *http.Request) (*http.Response, error) {
	var got Notification
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
		h.Notifier = New(Settings{URL: "https://user:s3cret@hooks.example/s3cret?s3cret", All: true}, slog.New(slog.NewTextHandler(&h.log, nil)))
		h.endpoint.Transport = h
		end := begin(t, h.Run)
		act(h)
		before := time.Now()
		end()
		if took := time.Since(before); took != 0 {
			t.Errorf("run ends after %v, want at once", took)
		}
		if strings.Contains(h.log.String(), calltest.Hidden) {
			t.Errorf("the log tells a secret:\n%s", h.log.String())
		}
	})
}

// want checks what the notifier counts and has logged.
func (h *hook) want(t *testing.T, sent, failed, dropped uint64, warnings ...string) {
	t.Helper()
	s, f, d := h.Counts()
	if s != sent || f != failed || d != dropped {
		t.Errorf("sent %d, failed %d, dropped %d; want %d, %d, %d", s, f, d, sent, failed, dropped)
	}
	var got []string
	for line := range strings.Lines(h.log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
		got = append(got, strings.TrimPrefix(line, `WARN msg="notification lost, later ones may be too: check NOTIFY_URL and its host" host=hooks.example err=`))
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
	// From 1 s to 1 min, as long as the notification is not older than 10 min.
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
			warnings: []string{`"given up after 10m0s: it closed the connection without an answer: see its log, and use https:// in NOTIFY_URL if it speaks TLS"`},
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
			warnings: []string{`"given up after 10m0s: no answer within 10s; see its log: i/o timeout"`},
		},
		{
			name: "a wrong address", answer: always(404), tries: []string{"0s a"}, failed: 1,
			warnings: []string{`"it answers 404 Not Found: fix NOTIFY_URL"`},
		},
		{
			name: "no notice for this one", answer: first(503, 400), tries: []string{"0s a", "1s a"}, failed: 1,
			warnings: []string{`"it answers 400 Bad Request: fix NOTIFY_URL"`},
		},
		{
			name: "a redirect", answer: always(302), tries: []string{"0s a"}, failed: 1,
			warnings: []string{`"it answers 302 Found, and redirects are not followed: fix NOTIFY_URL"`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFakeTime(t, test.answer, func(h *hook) {
				h.Post(Notification{Rule: "a"})
				time.Sleep(time.Hour)
				h.want(t, test.sent, test.failed, 0, test.warnings...)
				if diff := cmp.Diff(test.tries, h.tries); diff != "" {
					t.Errorf("tries -want +got\n%s", diff)
				}
			})
		})
	}
}

// While one is tried again, 16 more wait. Others are dropped, which is logged once with
// the cause, and again only when one has arrived meanwhile.
func TestNotifyDrops(t *testing.T) {
	var down atomic.Bool
	answer := func(*http.Request, int) (int, error) {
		if down.Load() {
			return 0, errors.New(calltest.Hidden)
		}
		return 200, nil
	}
	const dropped = `"16 others wait already: what answers there is not HTTP/1.1: fix the port in NOTIFY_URL, or use https:// if it speaks TLS"`
	inFakeTime(t, answer, func(h *hook) {
		post := func(n int) {
			for i := range n {
				h.Post(Notification{Rule: fmt.Sprint(i)})
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
		for i, try := range h.tries[2:] { // after the first one's two
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
			`"given up after 10m0s: what answers there is not HTTP/1.1: fix the port in NOTIFY_URL, or use https:// if it speaks TLS"`)
	})
}

// Those that have waited too long are given up after one round of tries, not each after
// 10 more minutes.
func TestNotifyAge(t *testing.T) {
	answer := func(*http.Request, int) (int, error) { return 500, nil }
	inFakeTime(t, answer, func(h *hook) {
		for i := range 17 {
			h.Post(Notification{Rule: fmt.Sprint(i)})
			synctest.Wait()
		}
		time.Sleep(11 * time.Minute)
		h.want(t, 0, 17, 0, `"given up after 10m0s: it answers 500 Internal Server Error"`)
	})
}

// A notifier that hangs in a try ends as fast as one that waits for the next, or for a notification.
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
				h.Post(Notification{})
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
	server := calltest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing then is seen below
		user, password, _ := r.BasicAuth()
		got <- request{fmt.Sprintln(r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("User-Agent"), user, password), string(body)}
		_, _ = io.WriteString(w, calltest.Hidden)
	}, (*httptest.Server).StartTLS)
	var log logtest.Buffer
	address := strings.Replace(server.URL, "//", "//user:s3cret@", 1) + "/hook/s3cret?key=s3cret"
	for _, test := range []struct {
		name string
		of   Notification
		want string // on lines, for people
	}{
		{
			"a signal",
			Notification{
				Rule: "site", File: "/etc/nginx/conf.d", DigestBefore: "0123456789ab", DigestAfter: "24bb1dda9425",
				Process: "nginx", PID: 7, Signal: "HUP", Outcome: verify.Refused,
			},
			`{"text":"podsignal: prod/web-5d9c: site: nginx rejected /etc/nginx/conf.d (digest 24bb1dda9425) after HUP",
"rule":"site","file":"/etc/nginx/conf.d","digest_before":"0123456789ab","digest_after":"24bb1dda9425",
"process":"nginx","pid":7,"signal":"HUP","outcome":"refused","pod":"web-5d9c","namespace":"prod","time":"NOW"}
`,
		},
		{
			"a call",
			Notification{
				File: "/a <b> & c", DigestAfter: "24bb1dda9425", ReloadURL: "http://user:s3cret@app/reload?s3cret",
				Outcome: verify.Undelivered, Cause: "500",
			},
			`{"text":"podsignal: prod/web-5d9c: http://app/reload was not notified of /a <b> & c (digest 24bb1dda9425): 500",
"file":"/a <b> & c","digest_after":"24bb1dda9425","reload_url":"http://app/reload","outcome":"undelivered","cause":"500",
"pod":"web-5d9c","namespace":"prod","time":"NOW"}
`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := New(Settings{URL: address, CAFile: calltest.Authority(t, server), All: true, Pod: "web-5d9c", Namespace: "prod"}, slog.New(slog.NewTextHandler(&log, nil)))
			end := begin(t, n.Run)
			n.Post(test.of)
			r := <-got
			r.body = now(t, r.body)
			for last := time.Now().Add(20 * time.Second); n.sent.Load() == 0 && time.Now().Before(last); {
				time.Sleep(time.Millisecond)
			}
			end()
			if sent, failed, dropped := n.Counts(); sent != 1 || failed != 0 || dropped != 0 {
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

	// Without the authority nothing arrives, and the error does not have the URL.
	n := New(Settings{URL: address}, discard)
	again, err := n.try(t.Context(), nil)
	if want := "its certificate's authority is unknown: set NOTIFY_CA_FILE to a PEM file with it"; !again || err == nil || err.Error() != want {
		t.Errorf("another try: %v, error %v, want true and %s", again, err, want)
	}
}

// now checks that a document's time is that of now, in UTC and to the second, and has NOW
// in its place.
func now(t *testing.T, body string) string {
	t.Helper()
	found := regexp.MustCompile(`"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("it has no time: %s", body)
	}
	if at, err := time.Parse(time.RFC3339, found[1]); err != nil || time.Since(at) > time.Minute {
		t.Errorf("its time is %s, want now", found[1])
	}
	return strings.Replace(body, found[1], "NOW", 1)
}

// A success is posted only if all are wanted, but the end of a failure always.
func TestNotifyFailures(t *testing.T) {
	answer := func(*http.Request, int) (int, error) { return 200, nil }
	for _, test := range []struct {
		all  bool
		want string
	}{{false, "died refused invalid undelivered resolved"}, {true, "died ended restarted replaced refused read unseen accepted invalid undelivered resolved"}} {
		inFakeTime(t, answer, func(h *hook) {
			h.settings.All = test.all
			for _, outcome := range append(slices.Clone(verify.Outcomes), verify.Undelivered, verify.Resolved) {
				h.Post(Notification{Rule: string(outcome), Outcome: outcome})
				synctest.Wait()
			}
			var got []string
			for _, try := range h.tries {
				got = append(got, strings.TrimPrefix(try, "0s "))
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("All: %v: posted %s, want %s", test.all, got, test.want)
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for value, want := range map[string]string{
		"https://user:s3cret@hooks.example/services/s3cret?s3cret": "",
		"hooks.example/services/s3cret":                            "is not a valid http:// or https:// URL: use one such as https://hooks.example.com/services/ID",
		"https://hooks.example/%s3cret":                            "is not a valid http:// or https:// URL: use one such as https://hooks.example.com/services/ID",
	} {
		got := ""
		if err := CheckURL(value); err != nil {
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
		if got := Host(value); got != want {
			t.Errorf("the host of %s is %q, want %q", value, got, want)
		}
	}
}

// A proxy of the environment is used. net/http reads the
// environment once, hence the other process.
func TestProxy(t *testing.T) {
	// Nothing answers there: it is for documentation (RFC 5737).
	const elsewhere = "http://192.0.2.1/"
	if os.Getenv("PROXIED") != "" {
		n := New(Settings{URL: elsewhere + "notice"}, discard)
		if _, err := n.try(t.Context(), nil); err != nil {
			t.Error(err)
		}
		return
	}
	var paths atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		old, _ := paths.Load().(string)
		paths.Store(old + r.URL.String() + "\n")
	}))
	defer proxy.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestProxy$")
	cmd.Env = append(os.Environ(), "PROXIED=1", "NO_PROXY=", "HTTP_PROXY="+proxy.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, _ := paths.Load().(string); got != elsewhere+"notice\n" {
		t.Errorf("the proxy got %q, want the notice", got)
	}
}

// The error about a proxy does not have its address, which holds a password.
func TestProxyFailure(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer refuses.Close()
	for _, test := range []struct{ name, proxy, want string }{
		{"refuses", strings.Replace(refuses.URL, "//", "//user:s3cret@", 1), "the proxy answers 407 Proxy Authentication Required: permit the host there"},
		{"is down", "http://user:s3cret@" + calltest.ClosedPort(t), "the proxy cannot be reached: fix HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY: connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if os.Getenv("PROXIED") != "" {
				n := New(Settings{URL: "https://192.0.2.1/" + calltest.Hidden}, discard)
				_, err := n.try(t.Context(), nil)
				if err == nil || err.Error() != test.want {
					t.Errorf("%v, want %s", err, test.want)
				}
				return
			}
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestProxyFailure$/^"+strings.ReplaceAll(test.name, " ", "_")+"$")
			cmd.Env = append(os.Environ(), "PROXIED=1", "NO_PROXY=", "HTTPS_PROXY="+test.proxy)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
