package reload

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/httpcall/calltest"
)

// deadline is for what must happen.
const deadline = 20 * time.Second

// reloadOf reloads by POST with settings that fit the server.
func reloadOf(t *testing.T, s Settings) (status int, err error) {
	t.Helper()
	if s.Method == "" {
		s.Method = http.MethodPost
	}
	if s.Timeout == 0 {
		s.Timeout = deadline
	}
	answer, err := s.Reload(t.Context())
	if err != nil && strings.Contains(err.Error(), calltest.Hidden) {
		t.Errorf("the error tells a secret: %v", err)
	}
	return answer.Code, err
}

// What is sent is a single request of HTTP/1.1 on a connection of its own.
func TestReloadRequest(t *testing.T) {
	dir := t.TempDir()
	token, auth := filepath.Join(dir, "token"), filepath.Join(dir, "auth")
	calltest.Write(t, token, "abc.DEF-123\n")
	calltest.Write(t, auth, "user:pass:word \n")
	for _, test := range []struct {
		name     string
		settings Settings
		want     string
	}{
		{
			"POST",
			Settings{Method: "POST"},
			"POST /-/reload?all=1 HTTP/1.1\nUser-Agent: podsignal/dev\nContent-Length: 0\nConnection: close\n",
		},
		{
			"GET",
			Settings{Method: "GET"},
			"GET /-/reload?all=1 HTTP/1.1\nUser-Agent: podsignal/dev\nConnection: close\n",
		},
		{
			"PUT with a token",
			Settings{Method: "PUT", TokenFile: token},
			"PUT /-/reload?all=1 HTTP/1.1\nUser-Agent: podsignal/dev\nContent-Length: 0\nAuthorization: Bearer abc.DEF-123\nConnection: close\n",
		},
		{
			"PATCH with a password",
			Settings{Method: "PATCH", BasicAuthFile: auth},
			// user:pass:word with the blank after it
			"PATCH /-/reload?all=1 HTTP/1.1\nUser-Agent: podsignal/dev\nContent-Length: 0\nAuthorization: Basic dXNlcjpwYXNzOndvcmQg\nConnection: close\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			listener, requests := listenRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			test.settings.URL = "http://" + listener + "/-/reload?all=1"
			status, err := reloadOf(t, test.settings)
			if status != 200 || err != nil {
				t.Fatalf("%d, %v", status, err)
			}
			var got strings.Builder
			for line := range strings.Lines(<-requests) {
				if !strings.HasPrefix(line, "Host: ") {
					got.WriteString(line)
				}
			}
			if diff := cmp.Diff(test.want, got.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// listenRaw answers each connection with some bytes, and closes it. What was asked on
// it, up to the end of the head, comes by the channel.
func listenRaw(t *testing.T, response string) (address string, requests <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	heads := make(chan string, 4)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var head strings.Builder
			for lines := bufio.NewScanner(conn); lines.Scan() && lines.Text() != ""; {
				head.WriteString(lines.Text() + "\n")
			}
			heads <- head.String()
			_, _ = io.WriteString(conn, response)
			conn.Close()
		}
	}()
	return listener.Addr().String(), heads
}

func TestReloadStatus(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	calltest.Write(t, token, calltest.Hidden)
	const refused = "the program rejected the new configuration; see its log"
	for _, test := range []struct {
		name     string
		code     int
		location string
		settings Settings
		want     string // the error, after its beginning; empty: success
	}{
		{name: "200", code: 200},
		{name: "204", code: 204},
		{name: "a 2xx without a name", code: 299},
		{name: "500", code: 500, want: "500 Internal Server Error: " + refused},
		{name: "503", code: 503, want: "503 Service Unavailable: it is not ready"},
		{name: "a 5xx without a name", code: 599, want: "599: " + refused},
		{name: "400", code: 400, want: "400 Bad Request: " + refused + ", and use https:// in RELOAD_URL if it speaks TLS"},
		{name: "401", code: 401, want: "401 Unauthorized: it requires credentials: set RELOAD_BEARER_TOKEN_FILE or RELOAD_BASIC_AUTH_FILE"},
		{
			name: "401 for a token", code: 401, settings: Settings{TokenFile: token},
			want: "401 Unauthorized: it rejects the credentials: fix the file that RELOAD_BEARER_TOKEN_FILE names",
		},
		{
			name: "403", code: 403,
			want: "403 Forbidden: it forbids this: enable reloads by HTTP (Prometheus: start it with --web.enable-lifecycle), " +
				"or fix RELOAD_BEARER_TOKEN_FILE or RELOAD_BASIC_AUTH_FILE",
		},
		{
			name: "404", code: 404,
			want: "404 Not Found: it has no such page: fix the path in RELOAD_URL, or enable reloads by HTTP (Prometheus: start it with --web.enable-lifecycle)",
		},
		{
			name: "405", code: 405,
			want: "405 Method Not Allowed: it does not accept this method: fix RELOAD_METHOD, or enable reloads by HTTP (Prometheus: start it with --web.enable-lifecycle)",
		},
		{
			name: "a redirect", code: 301, location: "https://user:s3cret@app.example/reload?token=s3cret",
			want: "301 Moved Permanently: it redirects to https://app.example/reload, and redirects are not followed: set RELOAD_URL to the final URL",
		},
		{
			name: "a redirect to a path", code: 307, location: "/login?from=s3cret",
			want: "307 Temporary Redirect: it redirects to SERVER/login, and redirects are not followed: set RELOAD_URL to the final URL",
		},
		{name: "no redirect", code: 304, want: "304 Not Modified: it answers neither yes nor no: fix the path in RELOAD_URL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			server := calltest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				if test.location != "" {
					w.Header().Set("Location", test.location)
				}
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, calltest.Hidden) // fails where there can be no body
			}, (*httptest.Server).Start)
			test.settings.URL = server.URL + "/-/reload?token=" + calltest.Hidden
			status, err := reloadOf(t, test.settings)
			if status != test.code || asked != 1 {
				t.Errorf("status %d after %d requests, want %d after 1", status, asked, test.code)
			}
			got, want := "", test.want
			if err != nil {
				got = strings.ReplaceAll(err.Error(), server.URL, "SERVER")
				of, ok := errors.AsType[*StatusError](err)
				if !ok || of.Code != test.code {
					t.Errorf("%#v has no status %d", err, test.code)
				}
			}
			if want != "" {
				want = "POST SERVER/-/reload: " + want
			}
			if got != want {
				t.Errorf("error\n%s, want\n%s", got, want)
			}
		})
	}
}

// expiry is when a certificate of the test has expired.
var expiry = regexp.MustCompile(`: current time \S+ is after [^ :]+:[^ ]+Z`)

// Without an answer the status is 0, and the error says what to do.
func TestReloadFailure(t *testing.T) {
	stop := make(chan struct{})
	ok := func(http.ResponseWriter, *http.Request) {}
	stalls := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}
	speaksHTTP := calltest.Serve(t, ok, (*httptest.Server).Start)
	speaksTLS := calltest.Serve(t, ok, (*httptest.Server).StartTLS)
	otherCA := calltest.Serve(t, ok, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{calltest.SelfSigned(t, 1, time.Hour)}}
		s.StartTLS()
	})
	expired := calltest.Serve(t, ok, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{calltest.SelfSigned(t, 1, -time.Hour)}}
		s.StartTLS()
	})
	otherName := calltest.Serve(t, ok, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{calltest.SelfSigned(t, 2, time.Hour)}}
		s.StartTLS()
	})
	asksCertificate := calltest.Serve(t, ok, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		s.StartTLS()
	})
	slow := calltest.Serve(t, stalls, (*httptest.Server).Start)
	defer close(stop)
	closed := "http://" + calltest.ClosedPort(t)
	raw := func(response string) string {
		address, _ := listenRaw(t, response)
		return "http://" + address
	}
	const notHTTP = "what answers there is not HTTP/1.1: fix the port in RELOAD_URL, or use https:// if it speaks TLS"
	for _, test := range []struct {
		name     string
		settings Settings
		want     string
	}{
		{"refused", Settings{URL: closed}, "connection refused: nothing listens there: start it, or fix the host and port in RELOAD_URL"},
		{"slow", Settings{URL: slow.URL, Timeout: 50 * time.Millisecond}, "no answer within 50ms; see its log: i/o timeout"},
		{"no answer", Settings{URL: raw("")}, "it closed the connection without an answer: see its log, and use https:// in RELOAD_URL if it speaks TLS"},
		{"half an answer", Settings{URL: raw("HTTP/1.1 200 OK\r\nX: s3c")}, "it closed the connection without an answer: see its log, and use https:// in RELOAD_URL if it speaks TLS"},
		{"not HTTP", Settings{URL: raw("s3cret\r\n\r\n")}, notHTTP},
		{"a broken status", Settings{URL: raw("HTTP/1.1 s3cret OK\r\n\r\n")}, notHTTP},
		{"a broken header", Settings{URL: raw("HTTP/1.1 200 OK\r\ns3cret\r\n\r\n")}, notHTTP},
		{"a header without an end", Settings{URL: raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat(calltest.Hidden, 20<<10))}, notHTTP},
		{"http to TLS' port", Settings{URL: strings.Replace(speaksTLS.URL, "https", "http", 1)}, "400"},
		{"TLS to http's port", Settings{URL: strings.Replace(speaksHTTP.URL, "http", "https", 1)}, "it does not speak TLS: use http:// in RELOAD_URL, or another port"},
		{"unknown authority", Settings{URL: speaksTLS.URL}, "its certificate's authority is unknown: set RELOAD_CA_FILE to a PEM file with it"},
		{
			"another authority",
			Settings{URL: otherCA.URL, CAFile: calltest.Authority(t, speaksTLS)},
			`its certificate's authority is not in RELOAD_CA_FILE="CA": add it`,
		},
		{
			"another name",
			Settings{URL: otherName.URL, CAFile: calltest.Authority(t, otherName)},
			"x509: certificate is valid for 127.0.0.2, not 127.0.0.1: use a name in RELOAD_URL that its certificate has",
		},
		{"expired", Settings{URL: expired.URL, CAFile: calltest.Authority(t, expired)}, "x509: certificate has expired or is not yet valid: replace its certificate"},
		{
			"a client's certificate",
			Settings{URL: asksCertificate.URL, CAFile: calltest.Authority(t, asksCertificate)},
			"it ends the TLS handshake: tls: certificate required",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := test.settings.URL
			test.settings.URL += "/-/reload?token=" + calltest.Hidden
			status, err := reloadOf(t, test.settings)
			if test.want == "400" { // Go's servers answer that, if not by TLS
				if status != 400 {
					t.Errorf("%d, %v", status, err)
				}
				return
			}
			if err == nil || status != 0 {
				t.Fatalf("status %d, error %v", status, err)
			}
			got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), base, "SERVER"), test.settings.CAFile+`"`, `CA"`)
			want := "POST SERVER/-/reload: " + test.want
			got = expiry.ReplaceAllString(got, "")
			if got != want {
				t.Errorf("error\n%s, want\n%s", got, want)
			}
		})
	}
}

// The program has been told when its status is there, whatever becomes of the rest.
func TestReloadBody(t *testing.T) {
	endless := calltest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat(calltest.Hidden, 1000)); err != nil {
				return
			}
		}
	}, (*httptest.Server).Start)
	stalls := calltest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // whoever asks has gone away
		<-r.Context().Done()
	}, (*httptest.Server).Start)
	short, _ := listenRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
	for name, settings := range map[string]Settings{
		"endless": {URL: endless.URL},
		"stalls":  {URL: stalls.URL, Timeout: 300 * time.Millisecond},
		"short":   {URL: "http://" + short},
	} {
		t.Run(name, func(t *testing.T) {
			if status, err := reloadOf(t, settings); status != 200 || err != nil {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
}

func TestReloadEnds(t *testing.T) {
	asked := make(chan struct{})
	server := calltest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}, (*httptest.Server).Start)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	r := &Settings{URL: server.URL, Method: "POST", Timeout: time.Hour}
	if answer, err := r.Reload(ctx); answer.Code != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v, want 0 and that the context is cancelled", answer.Code, err)
	}
}

// Kubernetes replaces the files of Secrets while podsignal runs.
func TestReloadFiles(t *testing.T) {
	dir := t.TempDir()
	token, auth, ca := filepath.Join(dir, "token"), filepath.Join(dir, "auth"), filepath.Join(dir, "ca")
	server := calltest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer new" && got != "Basic dXNlcjpuZXc=" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, (*httptest.Server).StartTLS)
	certificate := calltest.Read(t, calltest.Authority(t, server))

	const (
		noToken = `RELOAD_BEARER_TOKEN_FILE="DIR/token" contains no token: put the token into it, and nothing else`
		noAuth  = `RELOAD_BASIC_AUTH_FILE="DIR/auth" contains no user:password: put these two into it, separated by a colon, and nothing else`
		noCA    = `RELOAD_CA_FILE="DIR/ca" contains no certificate: it must be in PEM, with BEGIN CERTIFICATE`
		unknown = "401 Unauthorized: it rejects the credentials: fix the file that "
	)
	byToken := &Settings{URL: server.URL, Method: "POST", Timeout: deadline, CAFile: ca, TokenFile: token}
	byAuth := &Settings{URL: server.URL, Method: "POST", Timeout: deadline, CAFile: ca, BasicAuthFile: auth}
	for _, step := range []struct {
		name          string
		by            *Settings
		file, content string // written before the call; no file if empty
		want          string // the error after its beginning; empty: success
	}{
		{"token missing", byToken, "", "", `RELOAD_BEARER_TOKEN_FILE="DIR/token" does not exist: mount the volume there, or fix the path`},
		{"token empty", byToken, token, "\n", noToken},
		{"token of two words", byToken, token, "s3cret s3cret", noToken},
		{"token of two lines", byToken, token, "s3cret\r\nX: s3cret", noToken},
		{"token with letters that no header may have", byToken, token, "s3crét", noToken},
		{"CA missing", byToken, token, "s3cret", `RELOAD_CA_FILE="DIR/ca" does not exist: mount the volume there, or fix the path`},
		{"CA empty", byToken, ca, "", noCA},
		{"CA not PEM", byToken, ca, "s3cret", noCA},
		{"CA is there", byToken, ca, certificate, unknown + "RELOAD_BEARER_TOKEN_FILE names"},
		{"token is new", byToken, token, "new\n", ""},
		{"auth missing", byAuth, "", "", `RELOAD_BASIC_AUTH_FILE="DIR/auth" does not exist: mount the volume there, or fix the path`},
		{"auth empty", byAuth, auth, "", noAuth},
		{"auth without a colon", byAuth, auth, "s3cret", noAuth},
		{"auth without a user", byAuth, auth, ":s3cret", noAuth},
		{"auth of two lines", byAuth, auth, "user:s3cret\nuser:s3cret\n", noAuth},
		{"auth is old", byAuth, auth, "user:s3cret", unknown + "RELOAD_BASIC_AUTH_FILE names"},
		{"auth is new", byAuth, auth, "user:new\n", ""},
		{"CA is broken", byAuth, ca, "-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----\n", noCA},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.file != "" {
				calltest.Write(t, step.file, step.content)
			}
			got, want := "", step.want
			if _, err := step.by.Reload(t.Context()); err != nil {
				got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), dir, "DIR"), server.URL, "SERVER")
			}
			if want != "" {
				want = "POST SERVER: " + want
			}
			if got != want {
				t.Errorf("error\n%s, want\n%s", got, want)
			}
		})
	}
}

func TestParseReloadMethod(t *testing.T) {
	for value, want := range map[string]string{
		"POST": "POST", "get": "GET", "Put": "PUT", "PATCH": "PATCH", "": "", "DELETE": "", "POST /": "", "HEAD": "",
	} {
		got, err := ParseMethod(value)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q (%v), want %q", value, got, err, want)
		}
		if err != nil && err.Error() != "is not a valid method: use POST, PUT, PATCH or GET" {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestCheckReloadSettings(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"timeout", CheckTimeout(time.Millisecond), ""},
		{"no timeout", CheckTimeout(0), "leaves no time for an answer: use more than 0, such as 10s"},
		{"CA and https", CheckCAFile("https://app/"), ""},
		{"CA and http", CheckCAFile("HTTP://app/"), "is not used with http://: unset it, or use https:// in RELOAD_URL"},
		{"CA and a URL that is invalid", CheckCAFile("app/"), ""}, // one error is enough
		{"basic auth", CheckBasicAuthFile(""), ""},
		{"basic auth and token", CheckBasicAuthFile("/token"), "cannot be used with RELOAD_BEARER_TOKEN_FILE: unset one of them"},
	} {
		got := ""
		if test.err != nil {
			got = test.err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	const (
		none = "is not a valid http:// or https:// URL: use one such as http://127.0.0.1:9090/-/reload"
		user = "has a user in it: put it into a file, as user:password, and name that by RELOAD_BASIC_AUTH_FILE"
		port = "has no valid port: use one from 1 to 65535"
		hash = "has a fragment, which is never sent: leave out all from the # on"
	)
	for value, want := range map[string]string{
		"http://127.0.0.1:9090/-/reload":   "",
		"HTTPS://app.example":              "",
		"http://[::1]:8080/reload?all=1":   "",
		"":                                 none,
		"127.0.0.1:9090/-/reload":          none,
		"localhost:9090/-/reload":          none,
		"/-/reload":                        none,
		"http:/-/reload":                   none,
		"http:///-/reload":                 none,
		"http://:9090/-/reload":            none,
		"unix:///run/app.sock":             none,
		"http://a b/":                      none,
		"http://app:http/":                 none,
		"http://app:0/":                    port,
		"http://app:65536/":                port,
		"http://app/#reload":               hash,
		"http://app/#":                     hash,
		"http://user:s3cret@app/-/reload":  user,
		"https://s3cret@app/":              user,
		"http://user:s3%zzcret@app/reload": none,
	} {
		t.Run(value, func(t *testing.T) {
			got := ""
			if err := CheckURL(value); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// Nothing is asked of a proxy, whatever the environment says. net/http reads that once,
// hence the other process.
func TestReloadUsesNoProxy(t *testing.T) {
	// Nothing answers there: it is for documentation (RFC 5737).
	const elsewhere = "http://192.0.2.1/"
	if os.Getenv("PROXIED") != "" {
		s := &Settings{URL: elsewhere + "reload", Method: http.MethodPost, Timeout: 300 * time.Millisecond}
		if answer, err := s.Reload(t.Context()); err == nil || answer.Code != 0 {
			t.Errorf("the reload has status %d and error %v, want none and an error", answer.Code, err)
		}
		return
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the proxy was asked for %s", r.URL)
	}))
	defer proxy.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestReloadUsesNoProxy$")
	cmd.Env = append(os.Environ(), "PROXIED=1", "NO_PROXY=", "HTTP_PROXY="+proxy.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
