package httpcall

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// explained is an error that may be shown as it is.
type explained struct{ error }

// explain says what went wrong with a request, and the fix. The errors of net/http quote
// what they cannot read, and proxies with their passwords; so none of those is shown.
func (e *Endpoint) explain(err error) error {
	at, ca := e.Prefix+"_URL", e.Prefix+"_CA_FILE"
	if own, ok := errors.AsType[explained](err); ok {
		return own
	}
	errno, _ := errors.AsType[syscall.Errno](err)
	op, isOp := errors.AsType[*net.OpError](err)
	if isOp && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks")) {
		text := "the proxy cannot be reached: fix HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY"
		if errno != 0 {
			return fmt.Errorf("%s: %w", text, errno)
		}
		return errors.New(text)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return fmt.Errorf("no host has that name: fix it in %s", at)
		}
		return errors.New("its name cannot be resolved: check the pod's DNS")
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("%w: use a name in %s that its certificate has", name, at)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return fmt.Errorf("%w: replace its certificate", invalid)
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, noRoots := errors.AsType[x509.SystemRootsError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, other := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case unknown && e.CAFile != "":
		return fmt.Errorf("its certificate's authority is not in %s=%q: add it", ca, e.CAFile)
	case unknown || noRoots:
		return fmt.Errorf("its certificate's authority is unknown: set %s to a PEM file with it", ca)
	case other:
		return errors.New("its certificate cannot be verified: replace it")
	case isOp && op.Op == "remote error": // an alert of TLS
		return fmt.Errorf("it ends the TLS handshake: %w", op.Err)
	case noTLS, errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("it does not speak TLS: use http:// in %s, or another port", at)
	case errno == syscall.ECONNREFUSED:
		return fmt.Errorf("%w: nothing listens there: start it, or fix the host and port in %s", errno, at)
	case errno == syscall.ECONNRESET || errno == syscall.EPIPE || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it closed the connection without an answer: see its log, and use https:// in %s if it speaks TLS", at)
	case errno != 0:
		return fmt.Errorf("%w: fix %s, or permit the connection (NetworkPolicy)", errno, at)
	}
	return fmt.Errorf("what answers there is not HTTP/1.1: fix the port in %s, or use https:// if it speaks TLS", at)
}
