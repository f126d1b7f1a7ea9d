// Package httpcall makes one HTTP request, and explains what went wrong with it: with the
// variable to correct, and without anything that may be secret.
package httpcall

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxAnswer is how much of an answer's body is read, and of its head.
const maxAnswer = 64 << 10

// An Endpoint is what podsignal calls by HTTP.
type Endpoint struct {
	Prefix  string // of its variables, of which errors name PREFIX_URL and PREFIX_CA_FILE
	URL     string // as CheckURL wants it
	CAFile  string // PEM, instead of the system's roots; read at each call
	Timeout time.Duration

	UserAgent string
	Proxy     func(*http.Request) (*url.URL, error) // nil: none

	Transport http.RoundTripper // nil: a new one for each call
}

// An Answer is what is used of one.
type Answer struct {
	Code     int
	Location string // where a redirect leads to, as ShownURL shows it
	Line     string // the first of the body, at most 200 bytes of it
}

// maxLine is how much of the first line is kept.
const maxLine = 200

// Call sends one request, and follows no redirect. The timeout covers all, from looking
// up the name to the last byte of the answer; when ctx is done, Call returns at once,
// with its cause. Errors hold nothing of the URL and of what was answered, which may be secret.
//
// A RoundTripper is used instead of an http.Client: it follows no redirects, and wraps
// no errors into a url.Error, whose text has the whole URL in it.
func (e *Endpoint) Call(ctx context.Context, method string, header http.Header, body []byte) (Answer, error) {
	transport := e.Transport
	if transport == nil {
		var err error
		if transport, err = e.newTransport(); err != nil {
			return Answer{}, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, method, e.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("%s_URL is not a valid URL", e.Prefix)
	}
	request.Header = header
	request.Header.Set("User-Agent", e.UserAgent)
	if user := request.URL.User; user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}

	response, err := transport.RoundTrip(request)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Answer{}, context.Cause(ctx)
	case limited.Err() != nil:
		return Answer{}, fmt.Errorf("no answer within %v; see its log: %w", e.Timeout, os.ErrDeadlineExceeded)
	default:
		return Answer{}, e.explain(err)
	}
	defer response.Body.Close()
	// Whoever answers may write to the end. What counts is the status, and that is known.
	body, _ = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	a := Answer{Code: response.StatusCode, Line: firstLine(body)}
	if to := response.Header.Get("Location"); to != "" && a.Code/100 == 3 {
		if resolved, err := request.URL.Parse(to); err == nil {
			to = resolved.String()
		}
		a.Location = ShownURL(to)
	}
	return a, nil
}

// firstLine is that of a body, or its beginning.
func firstLine(body []byte) string {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	return strings.TrimSpace(strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), ""))
}

// connectWithin is how long it may take to connect, with the TLS handshake.
const connectWithin = 3 * time.Second

// Connect connects as Call does, and hangs up: no request is sent. There is no proxy for
// it.
func (e *Endpoint) Connect(ctx context.Context) error {
	transport, err := e.newTransport()
	if err != nil {
		return err
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return fmt.Errorf("%s_URL is not a valid URL", e.Prefix)
	}
	within := min(e.Timeout, connectWithin)
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	dial := new(net.Dialer).DialContext
	if u.Scheme == "https" {
		dial = (&tls.Dialer{Config: transport.TLSClientConfig}).DialContext
	}
	conn, err := dial(limited, "tcp", addressOf(u))
	switch {
	case err == nil:
		return conn.Close()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no connection within %v: start it, fix %s_URL, or permit the connection (NetworkPolicy)", within, e.Prefix)
	}
	return e.explain(err)
}

// addressOf is what to connect to for a URL.
func addressOf(u *url.URL) string {
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}

// newTransport returns one for a single call: podsignal calls so seldom that a
// connection that is kept would be stale, and certificates may have been replaced.
func (e *Endpoint) newTransport() (*http.Transport, error) {
	var roots *x509.CertPool // nil: the system's
	if e.CAFile != "" {
		bundle, err := ReadSetting(e.Prefix+"_CA_FILE", e.CAFile)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("%s_CA_FILE=%q contains no certificate: it must be in PEM, with BEGIN CERTIFICATE", e.Prefix, e.CAFile)
		}
	}
	return &http.Transport{
		Proxy: e.Proxy,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return explained{fmt.Errorf("the proxy answers %s: permit the host there", StatusText(r.StatusCode))}
			}
			return nil
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}, nil
}

// StatusText is a status as it is shown. The words are not those of the Answer.
func StatusText(code int) string {
	return strings.TrimSpace(fmt.Sprint(code, " ", http.StatusText(code)))
}
