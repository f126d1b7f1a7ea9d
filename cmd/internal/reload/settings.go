package reload

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/httpcall"
)

// example is for errors.
const example = "http://127.0.0.1:9090/-/reload"

// CheckURL says what is wrong with RELOAD_URL. Like those below, its text is to
// follow NAME="value"; the value must be shown as ShownURL has it.
func CheckURL(value string) error {
	// First, since the fix of a password that cannot be parsed is not to quote it.
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return errors.New("has a user in it: put it into a file, as user:password, and name that by RELOAD_BASIC_AUTH_FILE")
	}
	return httpcall.CheckURL(value, example)
}

// methods are those that programs reload by.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch}

// ParseMethod is for RELOAD_METHOD, in any case.
func ParseMethod(value string) (string, error) {
	method := strings.ToUpper(value)
	if !slices.Contains(methods, method) {
		return "", errors.New("is not a valid method: use POST, PUT, PATCH or GET")
	}
	return method, nil
}

// CheckTimeout is for RELOAD_TIMEOUT: a call without an end would block all that
// follows.
func CheckTimeout(timeout time.Duration) error {
	if timeout <= 0 {
		return errors.New("leaves no time for an answer: use more than 0, such as 10s")
	}
	return nil
}

// CheckBasicAuthFile is for RELOAD_BASIC_AUTH_FILE, if it is set beside this
// RELOAD_BEARER_TOKEN_FILE: a request has one Authorization.
func CheckBasicAuthFile(tokenFile string) error {
	if tokenFile != "" {
		return errors.New("cannot be used with RELOAD_BEARER_TOKEN_FILE: unset one of them")
	}
	return nil
}

// CheckCAFile is for RELOAD_CA_FILE, if it is set beside this RELOAD_URL.
func CheckCAFile(url string) error { return httpcall.CheckCAFile("RELOAD", url) }

// ShownURL is a RELOAD_URL, whether it is valid or not, without all that may be secret.
func ShownURL(value string) string { return httpcall.ShownURL(value) }
