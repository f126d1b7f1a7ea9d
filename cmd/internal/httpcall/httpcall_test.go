package httpcall

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/internal/httpcall/calltest"
)

func TestShownURL(t *testing.T) {
	for _, test := range []struct{ raw, want string }{
		{"http://127.0.0.1:9090/-/reload", "http://127.0.0.1:9090/-/reload"},
		{"https://[::1]:9090/a%2Fb", "https://[::1]:9090/a%2Fb"},
		{"http://app/reload?token=s3cret#s3cret", "http://app/reload"},
		{"http://user:s3cret@app/reload", "http://app/reload"},
		{"http://user:s3/cret@app/reload", "http://app/reload"},
		{"http://user:1/s3cret@app/reload", "http://app/reload"},
		{"http://user:s3?cret@app/reload?a", "http://app/reload"},
		{"http://user:s3#cret@app/reload", "http://app/reload"},
		{"user:s3cret@app/reload", "app/reload"},
		{"http:user:s3cret@app", "app"},
		{"http://app:port/reload?s3cret", "http://app:port/reload"},
		{"?s3cret://", ""},
		{"/reload?s3cret", "/reload"},
	} {
		if got := ShownURL(test.raw); got != test.want {
			t.Errorf("%q is shown as %q, want %q", test.raw, got, test.want)
		}
	}
}

func FuzzShownURL(f *testing.F) {
	f.Add("http://user:s3cret@app:80/reload?token=s3cret#a")
	f.Add("http://u:1/p@h")
	f.Fuzz(func(t *testing.T, raw string) {
		if shown := ShownURL(raw); strings.ContainsAny(shown, "@?#") {
			t.Errorf("%q is shown as %q", raw, shown)
		}
	})
}

func TestReadSetting(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{"token": "abc", "large": strings.Repeat("a", maxFile+1), "closed": calltest.Hidden} {
		calltest.Write(t, path(name), content)
	}
	if err := os.Chmod(path("closed"), 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", path("loop")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, want string }{
		{"token", ""},
		{"none", `RELOAD_CA_FILE="DIR/none" does not exist: mount the volume there, or fix the path`},
		{".", `RELOAD_CA_FILE="DIR" is not a file: name the file itself`},
		{"fifo", `RELOAD_CA_FILE="DIR/fifo" is not a file: name the file itself`},
		{"large", `RELOAD_CA_FILE="DIR/large" is larger than 1 MiB: name the right file`},
		{"loop", "RELOAD_CA_FILE cannot be read: stat DIR/loop: too many levels of symbolic links"},
		{"closed", `RELOAD_CA_FILE="DIR/closed" is not readable by podsignal's uid UID: set securityContext.runAsUser to its owner, ` +
			"or the pod's fsGroup and the volume's defaultMode: 0440"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "closed" {
				asOther(t)
				test.want = strings.Replace(test.want, "UID", strconv.Itoa(os.Geteuid()), 1)
			}
			content, err := ReadSetting("RELOAD_CA_FILE", path(test.name))
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if got != test.want || err == nil && string(content) != "abc" {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// asOther takes root's right to read everything from this thread, until the test ends.
func asOther(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine
	if err := unix.Setfsuid(65532); err != nil {
		t.Fatal(err)
	}
}

func TestAddressOf(t *testing.T) {
	for raw, want := range map[string]string{
		"http://web/a": "web:80", "https://web": "web:443", "http://web:9090": "web:9090", "https://[::1]:8443/": "[::1]:8443", "http://[::1]": "[::1]:80",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := addressOf(u); got != want {
			t.Errorf("%s is at %s, want %s", raw, got, want)
		}
	}
}

// podsignal is built without HTTP/2: calls are the same with and without it.
func TestNoHTTP2(t *testing.T) {
	by := make(chan string, 1)
	server := calltest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { by <- r.Proto },
		func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	call := Endpoint{Prefix: "RELOAD", URL: server.URL, CAFile: calltest.Authority(t, server), Timeout: 10 * time.Second}
	if _, err := call.Call(t.Context(), http.MethodPost, make(http.Header), nil); err != nil {
		t.Fatal(err)
	}
	if got := <-by; got != "HTTP/1.1" {
		t.Errorf("the call came by %s, want HTTP/1.1", got)
	}
}
