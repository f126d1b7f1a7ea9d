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

// explain says what has become of a request, and the mend. The errors of net/http quote
// what they cannot read, and proxies with their passwords; so none of those is shown.
func (e *Endpoint) explain(err error) error {
	at, ca := e.Prefix+"_URL", e.Prefix+"_CA_FILE"
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
	case unknown && e.CAFile != "":
		return fmt.Errorf("its certificate is of an authority that %s=%q does not hold: write the authority's into it", ca, e.CAFile)
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
