package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What podsignal check finds of a URL is what a call would meet, up to the request: that is
// never sent.
func TestConnect(t *testing.T) {
	never := func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was asked for %s", r.URL) }
	overHTTP := plain(t, never, (*httptest.Server).Start)
	overTLS := plain(t, never, (*httptest.Server).StartTLS)
	otherName := plain(t, never, func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t, 2, time.Hour)}}
		s.StartTLS()
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	raw, heads := listenRaw(t, "")
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	write(t, notPEM, "s3cret")
	const short = 50 * time.Millisecond
	for _, test := range []struct {
		name     string
		settings reloadSettings
		want     string // the error; empty: none
	}{
		{"over TCP", reloadSettings{url: overHTTP.URL}, ""},
		{"over TLS", reloadSettings{url: overTLS.URL, caFile: authority(t, overTLS)}, ""},
		{"nothing is sent", reloadSettings{url: "http://" + raw}, ""},
		{"refused", reloadSettings{url: "http://" + closedPort(t)}, "connection refused: nothing listens there: start it, or correct the host and port in RELOAD_URL"},
		{"an unknown authority", reloadSettings{url: overTLS.URL}, "its certificate is of an unknown authority: set RELOAD_CA_FILE to a file with the authority's, in PEM"},
		{
			"another name",
			reloadSettings{url: otherName.URL, caFile: authority(t, otherName)},
			"x509: certificate is valid for 127.0.0.2, not 127.0.0.1: call it in RELOAD_URL by a name that its certificate has",
		},
		{"TLS to http's port", reloadSettings{url: strings.Replace(overHTTP.URL, "http", "https", 1)}, "it does not speak TLS: use http:// in RELOAD_URL, or another port"},
		{
			"no handshake",
			reloadSettings{url: "https://" + silent.Addr().String(), timeout: short},
			"no connection within 50ms: start it, correct RELOAD_URL, or permit the connection (NetworkPolicy)",
		},
		{"a CA file without certificates", reloadSettings{url: overTLS.URL, caFile: notPEM}, `RELOAD_CA_FILE="CA" holds no certificate: it must be in PEM, with BEGIN CERTIFICATE`},
		{"no CA file", reloadSettings{url: overTLS.URL, caFile: "/nowhere"}, `RELOAD_CA_FILE="CA" does not exist: mount the volume there, or correct the path`},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.settings.url += "/-/reload?token=" + hidden
			if test.settings.timeout == 0 {
				test.settings.timeout = deadline
			}
			got := ""
			if err := newReloader(test.settings).endpoint.connect(t.Context()); err != nil {
				got = strings.ReplaceAll(err.Error(), test.settings.caFile+`"`, `CA"`)
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
	if err := newReloader(reloadSettings{url: overHTTP.URL, timeout: deadline}).endpoint.connect(ctx); err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("%v, want %v", err, context.Canceled)
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
