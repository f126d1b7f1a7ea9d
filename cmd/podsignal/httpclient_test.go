package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hidden is what must be in no error and no log.
const hidden = "s3cret"

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
		if got := shownURL(test.raw); got != test.want {
			t.Errorf("%q is shown as %q, want %q", test.raw, got, test.want)
		}
	}
}

func FuzzShownURL(f *testing.F) {
	f.Add("http://user:s3cret@app:80/reload?token=s3cret#a")
	f.Add("http://u:1/p@h")
	f.Fuzz(func(t *testing.T, raw string) {
		if shown := shownURL(raw); strings.ContainsAny(shown, "@?#") {
			t.Errorf("%q is shown as %q", raw, shown)
		}
	})
}

func TestCheckURL(t *testing.T) {
	const (
		none = "is no URL that begins with http:// or https:// and a host: use one such as http://127.0.0.1:9090/-/reload"
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
			if err := checkReloadURL(value); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestReadSetting(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{"token": "abc", "large": strings.Repeat("a", maxFile+1), "closed": hidden} {
		write(t, path(name), content)
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
		{"none", `RELOAD_CA_FILE="DIR/none" does not exist: mount the volume there, or correct the path`},
		{".", `RELOAD_CA_FILE="DIR" is no file: name the file itself`},
		{"fifo", `RELOAD_CA_FILE="DIR/fifo" is no file: name the file itself`},
		{"large", `RELOAD_CA_FILE="DIR/large" is larger than 1 MiB: name the right file`},
		{"loop", "RELOAD_CA_FILE cannot be read: stat DIR/loop: too many levels of symbolic links"},
		{"closed", `RELOAD_CA_FILE="DIR/closed" may not be read by uid UID, as which podsignal runs: set securityContext.runAsUser to its owner, ` +
			"or the pod's fsGroup and the volume's defaultMode: 0440"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "closed" {
				asOther(t)
				test.want = strings.Replace(test.want, "UID", strconv.Itoa(os.Geteuid()), 1)
			}
			content, err := readSetting("RELOAD_CA_FILE", path(test.name))
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

// A proxy of the environment gets notices, and never a reload. net/http reads the
// environment once, hence the other process.
func TestProxy(t *testing.T) {
	// Nothing answers there: it is for documentation (RFC 5737).
	const elsewhere = "http://192.0.2.1/"
	if os.Getenv("PROXIED") != "" {
		r := newReloader(reloadSettings{url: elsewhere + "reload", method: http.MethodPost, timeout: 300 * time.Millisecond})
		if status, err := r.reload(t.Context()); err == nil || status != 0 {
			t.Errorf("the reload has status %d and error %v, want none and an error", status, err)
		}
		n := newNotifier(elsewhere+"notice", "", discard)
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
		t.Errorf("the proxy got %q, want the notice alone", got)
	}
}

// A proxy that is not to be used is told without its address, which holds a password.
func TestProxyFailure(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer refuses.Close()
	for _, test := range []struct{ name, proxy, want string }{
		{"refuses", strings.Replace(refuses.URL, "//", "//user:s3cret@", 1), "the proxy answers 407 Proxy Authentication Required: permit the host there"},
		{"is down", "http://user:s3cret@" + closedPort(t), "the proxy cannot be reached: correct HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY: connection refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if os.Getenv("PROXIED") != "" {
				n := newNotifier("https://192.0.2.1/"+hidden, "", discard)
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

// closedPort is an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// authority writes the certificate of a server of httptest's to a file.
func authority(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return path
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// selfSigned makes a certificate for 127.0.0.NAME that is valid until so long from now.
func selfSigned(t *testing.T, name byte, until time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, name)},
		NotBefore:             time.Now().Add(-2 * time.Hour),
		NotAfter:              time.Now().Add(until),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
