package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxAnswer is how much of an answer's body is read, and of its head.
	maxAnswer = 64 << 10

	// maxFile is for certificates and credentials: all authorities of the web are 220 KB.
	maxFile = 1 << 20
)

// An endpoint is what podsignal calls by HTTP.
type endpoint struct {
	prefix  string // of its variables, of which errors name PREFIX_URL and PREFIX_CA_FILE
	url     string // as checkURL wants it
	caFile  string // PEM, instead of the system's roots; read at each call
	timeout time.Duration
	proxy   func(*http.Request) (*url.URL, error) // nil: none

	transport http.RoundTripper // nil: a new one for each call
}

// answer is what is used of one.
type answer struct {
	code     int
	location string // where a redirect leads to, as shownURL shows it
}

// call sends one request, and follows no redirect. The timeout covers all, from looking
// up the name to the last byte of the answer; when ctx is done, call returns at once,
// with its cause. Errors hold nothing of the URL and of what was answered.
//
// A RoundTripper is used instead of an http.Client: it follows no redirects, and wraps
// no errors into a url.Error, whose text has the whole URL in it.
func (e *endpoint) call(ctx context.Context, method string, header http.Header, body []byte) (answer, error) {
	transport := e.transport
	if transport == nil {
		var err error
		if transport, err = e.newTransport(); err != nil {
			return answer{}, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, method, e.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("%s_URL is no URL", e.prefix)
	}
	request.Header = header
	request.Header.Set("User-Agent", "podsignal/"+version)
	if user := request.URL.User; user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}

	response, err := transport.RoundTrip(request)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return answer{}, context.Cause(ctx)
	case limited.Err() != nil:
		return answer{}, fmt.Errorf("no answer within %v: read its log: %w", e.timeout, os.ErrDeadlineExceeded)
	default:
		return answer{}, e.explain(err)
	}
	defer response.Body.Close()
	// Whoever answers may write to the end. What counts is the status, and that is known.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	a := answer{code: response.StatusCode}
	if to := response.Header.Get("Location"); to != "" && a.code/100 == 3 {
		if resolved, err := request.URL.Parse(to); err == nil {
			to = resolved.String()
		}
		a.location = shownURL(to)
	}
	return a, nil
}

// connectWithin is how long it may take to connect, with the TLS handshake.
const connectWithin = 3 * time.Second

// connect connects as call does, and hangs up: no request is sent. There is no proxy for
// it.
func (e *endpoint) connect(ctx context.Context) error {
	transport, err := e.newTransport()
	if err != nil {
		return err
	}
	u, err := url.Parse(e.url)
	if err != nil {
		return fmt.Errorf("%s_URL is no URL", e.prefix)
	}
	within := min(e.timeout, connectWithin)
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
		return fmt.Errorf("no connection within %v: start it, correct %s_URL, or permit the connection (NetworkPolicy)", within, e.prefix)
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
func (e *endpoint) newTransport() (*http.Transport, error) {
	var roots *x509.CertPool // nil: the system's
	if e.caFile != "" {
		bundle, err := readSetting(e.prefix+"_CA_FILE", e.caFile)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("%s_CA_FILE=%q holds no certificate: it must be in PEM, with BEGIN CERTIFICATE", e.prefix, e.caFile)
		}
	}
	return &http.Transport{
		Proxy: e.proxy,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return explained{fmt.Errorf("the proxy answers %s: permit the host there", statusText(r.StatusCode))}
			}
			return nil
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswer,
	}, nil
}

// explained is an error that may be shown as it is.
type explained struct{ error }

// explain says what has become of a request, and the mend. The errors of net/http quote
// what they cannot read, and proxies with their passwords; so none of those is shown.
func (e *endpoint) explain(err error) error {
	at, ca := e.prefix+"_URL", e.prefix+"_CA_FILE"
	if own, ok := errors.AsType[explained](err); ok {
		return own
	}
	errno, _ := errors.AsType[syscall.Errno](err)
	op, isOp := errors.AsType[*net.OpError](err)
	if isOp && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks")) {
		text := "the proxy cannot be reached: correct HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY"
		if errno != 0 {
			return fmt.Errorf("%s: %w", text, errno)
		}
		return errors.New(text)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fmt.Errorf("there is no host of that name: correct it in %s", at)
		}
		return errors.New("its name cannot be looked up: look at the pod's DNS")
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("%w: call it in %s by a name that its certificate has", name, at)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return fmt.Errorf("%w: replace its certificate", invalid)
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, noRoots := errors.AsType[x509.SystemRootsError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, other := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case unknown && e.caFile != "":
		return fmt.Errorf("its certificate is of an authority that %s=%q does not hold: write the authority's into it", ca, e.caFile)
	case unknown || noRoots:
		return fmt.Errorf("its certificate is of an unknown authority: set %s to a file with the authority's, in PEM", ca)
	case other:
		return errors.New("its certificate cannot be verified: replace it")
	case isOp && op.Op == "remote error": // an alert of TLS
		return fmt.Errorf("it ends the TLS handshake: %w", op.Err)
	case noTLS, errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("it does not speak TLS: use http:// in %s, or another port", at)
	case errno == syscall.ECONNREFUSED:
		return fmt.Errorf("%w: nothing listens there: start it, or correct the host and port in %s", errno, at)
	case errno == syscall.ECONNRESET || errno == syscall.EPIPE || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it closed the connection without an answer: read its log, and use https:// in %s if it speaks TLS", at)
	case errno != 0:
		return fmt.Errorf("%w: correct %s, or permit the connection (NetworkPolicy)", errno, at)
	}
	return fmt.Errorf("what answers there is not HTTP/1.1: correct the port in %s, or use https:// if it speaks TLS", at)
}

// checkURL says what keeps a URL from being called. The text is to follow
// NAME="value", where the value is shown as shownURL or hostOf has it.
func checkURL(raw, example string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("is no URL that begins with http:// or https:// and a host: use one such as %s", example)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has no valid port: use one from 1 to 65535")
		}
	}
	if strings.Contains(raw, "#") {
		return errors.New("has a fragment, which is never sent: leave out all from the # on")
	}
	return nil
}

// checkCAFile is for PREFIX_CA_FILE, if it is set beside this PREFIX_URL.
func checkCAFile(prefix, endpointURL string) error {
	if u, err := url.Parse(endpointURL); err == nil && u.Scheme == "http" {
		return fmt.Errorf("is not used with http://: unset it, or use https:// in %s_URL", prefix)
	}
	return nil
}

// shownURL is a URL, whether it is valid or not, less all that may be secret: the user,
// the query and the fragment.
func shownURL(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" && !strings.Contains(u.EscapedPath(), "@") {
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
	}
	scheme := ""
	if before, after, ok := strings.Cut(raw, "://"); ok && !strings.ContainsAny(before, "@?#") {
		scheme, raw = before+"://", after
	}
	raw = raw[strings.LastIndexByte(raw, '@')+1:] // a password may hold a / that should be %2F
	if end := strings.IndexAny(raw, "?#"); end >= 0 {
		raw = raw[:end]
	}
	return scheme + raw
}

// hostOf is all that may be shown of a URL that is a secret as a whole; empty if it has
// no host.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// readSetting reads the file that a variable names. It does not open what is not a file:
// to open a FIFO is to wait for its writer.
func readSetting(variable, path string) ([]byte, error) {
	wrap := func(text string) error { return fmt.Errorf("%s=%q %s", variable, path, text) }
	var content []byte
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, wrap("is no file: name the file itself")
	case info.Size() > maxFile:
		return nil, wrap("is larger than 1 MiB: name the right file")
	default:
		content, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, wrap("does not exist: mount the volume there, or correct the path")
	case errors.Is(err, fs.ErrPermission):
		return nil, wrap(fmt.Sprintf("may not be read by uid %d, as which podsignal runs: set securityContext.runAsUser to its owner, "+
			"or the pod's fsGroup and the volume's defaultMode: 0440", os.Geteuid()))
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", variable, err)
	}
	return content, nil
}

// statusText is a status as it is shown. The words are not those of the answer.
func statusText(code int) string {
	return strings.TrimSpace(fmt.Sprint(code, " ", http.StatusText(code)))
}
