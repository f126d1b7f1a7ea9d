package reload

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/cmd/internal/httpcall"
)

// A StatusError is an answer other than 2xx.
type StatusError struct {
	method, url string // the URL as ShownURL has it
	Code        int
	fix         string
}

// Error has the status, and what to do about it.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", e.method, e.url, httpcall.StatusText(e.Code), e.fix)
}

// notReady are the statuses by which a program, or a proxy before it, asks to be called later.
var notReady = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// wrongCall are those that say nothing of the configuration, but that the call is wrong.
var wrongCall = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}

// NotReady tells whether the program may accept the same later.
func (e *StatusError) NotReady() bool { return slices.Contains(notReady, e.Code) }

// WrongCall tells whether the settings of the call have to be fixed. A redirect, or another
// status that is no answer to a request like this one, is such a mistake too.
func (e *StatusError) WrongCall() bool { return e.Code < 400 || slices.Contains(wrongCall, e.Code) }

// Refused tells whether the program has rejected its configuration.
func (e *StatusError) Refused() bool { return !e.NotReady() && !e.WrongCall() }

// fix is what to do about an answer. Prometheus, which answers 403 while it may not
// reload by HTTP, is the program that most need it for.
func (s *Settings) fix(a httpcall.Answer) string {
	const prometheus = "Prometheus: start it with --web.enable-lifecycle"
	credentials := "RELOAD_BEARER_TOKEN_FILE or RELOAD_BASIC_AUTH_FILE"
	switch {
	case s.TokenFile != "":
		credentials = "RELOAD_BEARER_TOKEN_FILE"
	case s.BasicAuthFile != "":
		credentials = "RELOAD_BASIC_AUTH_FILE"
	}
	switch {
	case a.Location != "":
		return fmt.Sprintf("it redirects to %s, and redirects are not followed: set RELOAD_URL to the final URL", a.Location)
	case a.Code < http.StatusBadRequest:
		return "it answers neither yes nor no: fix the path in RELOAD_URL"
	case a.Code == http.StatusUnauthorized && s.TokenFile == "" && s.BasicAuthFile == "":
		return "it requires credentials: set " + credentials
	case a.Code == http.StatusUnauthorized:
		return "it rejects the credentials: fix the file that " + credentials + " names"
	case a.Code == http.StatusForbidden:
		return "it forbids this: enable reloads by HTTP (" + prometheus + "), or fix " + credentials
	case a.Code == http.StatusNotFound:
		return "it has no such page: fix the path in RELOAD_URL, or enable reloads by HTTP (" + prometheus + ")"
	case a.Code == http.StatusMethodNotAllowed:
		return "it does not accept this method: fix RELOAD_METHOD, or enable reloads by HTTP (" + prometheus + ")"
	case slices.Contains(notReady, a.Code):
		return "it is not ready"
	case a.Code == http.StatusBadRequest && strings.HasPrefix(s.URL, "http:"):
		return "the program rejected the new configuration; see its log, and use https:// in RELOAD_URL if it speaks TLS"
	}
	return "the program rejected the new configuration; see its log"
}
