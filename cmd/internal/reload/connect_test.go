package reload

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/httpcall/calltest"
)

// What podsignal check finds of a URL is what a call would meet, up to the request: that is
// never sent.
func TestConnect(t *testing.T) {
	never := func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was asked for %s", r.URL) }
	overHTTP := calltest.Serve(t, never, (*httptest.Server).Start)
	overTLS := calltest.Serve(t, never, (*httptest.Server).StartTLS)
	otherName := calltest.Serve(t, never, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{calltest.SelfSigned(t, 2, time.Hour)}}
		s.StartTLS()
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	raw, heads := listenRaw(t, "")
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	calltest.Write(t, notPEM, "s3cret")
	const short = 50 * time.Millisecond
	for _, test := range []struct {
		name     string
		settings Settings
		want     string // the error; empty: none
	}{
		{"over TCP", Settings{URL: overHTTP.URL}, ""},
		{"over TLS", Settings{URL: overTLS.URL, CAFile: calltest.Authority(t, overTLS)}, ""},
		{"nothing is sent", Settings{URL: "http://" + raw}, ""},
		{"refused", Settings{URL: "http://" + calltest.ClosedPort(t)}, "connection refused: nothing listens there: start it, or fix the host and port in RELOAD_URL"},
		{"an unknown authority", Settings{URL: overTLS.URL}, "its certificate's authority is unknown: set RELOAD_CA_FILE to a PEM file with it"},
		{
			"another name",
			Settings{URL: otherName.URL, CAFile: calltest.Authority(t, otherName)},
			"x509: certificate is valid for 127.0.0.2, not 127.0.0.1: use a name in RELOAD_URL that its certificate has",
		},
		{"TLS to http's port", Settings{URL: strings.Replace(overHTTP.URL, "http", "https", 1)}, "it does not speak TLS: use http:// in RELOAD_URL, or another port"},
		{
			"no handshake",
			Settings{URL: "https://" + silent.Addr().String(), Timeout: short},
			"no connection within 50ms: start it, fix RELOAD_URL, or permit the connection (NetworkPolicy)",
		},
		{"a CA file without certificates", Settings{URL: overTLS.URL, CAFile: notPEM}, `RELOAD_CA_FILE="CA" contains no certificate: it must be in PEM, with BEGIN CERTIFICATE`},
		{"no CA file", Settings{URL: overTLS.URL, CAFile: "/nowhere"}, `RELOAD_CA_FILE="CA" does not exist: mount the volume there, or fix the path`},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.settings.URL += "/-/reload?token=" + calltest.Hidden
			if test.settings.Timeout == 0 {
				test.settings.Timeout = deadline
			}
			got := ""
			if err := test.settings.Probe(t.Context()); err != nil {
				got = strings.ReplaceAll(err.Error(), test.settings.CAFile+`"`, `CA"`)
			}
			if got != test.want {
				t.Errorf("error\n%s, want\n%s", got, test.want)
			}
		})
	}
	if head := <-heads; head != "" {
		t.Errorf("it has sent %q", head)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Settings{URL: overHTTP.URL, Timeout: deadline}).Probe(ctx); err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}
