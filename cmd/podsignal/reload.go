package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// reloadSettings are RELOAD_URL and what goes with it, validated.
type reloadSettings struct {
	url           string // see checkReloadURL
	method        string // see parseReloadMethod
	timeout       time.Duration
	caFile        string
	tokenFile     string
	basicAuthFile string
}

// A reloader has an application reload by a request, where others take a signal.
type reloader struct {
	endpoint      endpoint
	method        string
	tokenFile     string
	basicAuthFile string
}

// newReloader uses no proxy, whatever the environment says: the application is in this
// pod, or in this Compose project. What net/http leaves out by itself is localhost, but
// neither the pod's address nor a service's name.
func newReloader(s reloadSettings) *reloader {
	return &reloader{
		endpoint:      endpoint{prefix: "RELOAD", url: s.url, caFile: s.caFile, timeout: s.timeout},
		method:        s.method,
		tokenFile:     s.tokenFile,
		basicAuthFile: s.basicAuthFile,
	}
}

// reload makes one request without a body, and returns its status; 0 if there was no
// answer. A status that is not 2xx is a *statusError. All files are read anew, since
// Secrets are rotated. It does not try again, and ends at once when ctx is done.
func (r *reloader) reload(ctx context.Context) (status int, err error) {
	shown := shownURL(r.endpoint.url)
	header, err := r.credentials()
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", r.method, shown, err)
	}
	a, err := r.endpoint.call(ctx, r.method, header, nil)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", r.method, shown, err)
	}
	if a.code/100 != 2 {
		return a.code, &statusError{method: r.method, url: shown, code: a.code, mend: r.mend(a)}
	}
	return a.code, nil
}

// credentials returns the header that has them.
func (r *reloader) credentials() (http.Header, error) {
	request := http.Request{Header: make(http.Header)}
	switch {
	case r.tokenFile != "":
		const variable = "RELOAD_BEARER_TOKEN_FILE"
		content, err := readSetting(variable, r.tokenFile)
		if err != nil {
			return nil, err
		}
		token := strings.TrimSpace(string(content))
		if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, fmt.Errorf("%s=%q holds no token: write the token into it, and nothing else", variable, r.tokenFile)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	case r.basicAuthFile != "":
		const variable = "RELOAD_BASIC_AUTH_FILE"
		content, err := readSetting(variable, r.basicAuthFile)
		if err != nil {
			return nil, err
		}
		line := strings.TrimRight(string(content), "\r\n")
		user, password, ok := strings.Cut(line, ":")
		if !ok || user == "" || strings.ContainsFunc(line, unicode.IsControl) {
			return nil, fmt.Errorf("%s=%q holds no user:password: write these two into it, parted by a colon, and nothing else", variable, r.basicAuthFile)
		}
		request.SetBasicAuth(user, password)
	}
	return request.Header, nil
}

// A statusError is an answer that is no success.
type statusError struct {
	method, url string // the URL as shownURL has it
	code        int
	mend        string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", e.method, e.url, statusText(e.code), e.mend)
}

// mend is what to do about an answer. Prometheus, which answers 403 while it may not
// reload by HTTP, is the program that most need it for.
func (r *reloader) mend(a answer) string {
	const prometheus = "Prometheus: start it with --web.enable-lifecycle"
	credentials := "RELOAD_BEARER_TOKEN_FILE or RELOAD_BASIC_AUTH_FILE"
	switch {
	case r.tokenFile != "":
		credentials = "RELOAD_BEARER_TOKEN_FILE"
	case r.basicAuthFile != "":
		credentials = "RELOAD_BASIC_AUTH_FILE"
	}
	switch {
	case a.location != "":
		return fmt.Sprintf("it leads to %s, and redirects are not followed: set RELOAD_URL to where it reloads", a.location)
	case a.code == http.StatusUnauthorized && r.tokenFile == "" && r.basicAuthFile == "":
		return "it asks who is calling: set " + credentials
	case a.code == http.StatusUnauthorized:
		return "it does not know the caller: correct the file that " + credentials + " names"
	case a.code == http.StatusForbidden:
		return "it does not permit this: permit reloads by HTTP (" + prometheus + "), or correct " + credentials
	case a.code == http.StatusNotFound:
		return "it has no such page: correct the path in RELOAD_URL, or permit reloads by HTTP (" + prometheus + ")"
	case a.code == http.StatusMethodNotAllowed:
		return "it takes another method: correct RELOAD_METHOD, or permit reloads by HTTP (" + prometheus + ")"
	case a.code == http.StatusBadRequest && strings.HasPrefix(r.endpoint.url, "http:"):
		return "the program refused: read its log, and use https:// in RELOAD_URL if it speaks TLS"
	}
	return "the program refused: read its log"
}

// reloadExample is for errors.
const reloadExample = "http://127.0.0.1:9090/-/reload"

// checkReloadURL says what is wrong with RELOAD_URL. Like those below, its text is to
// follow NAME="value"; the value must be shown as shownURL has it.
func checkReloadURL(value string) error {
	// First, since the mend of a password that cannot be parsed is not to quote it.
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return errors.New("has a user in it: put it into a file, as user:password, and name that by RELOAD_BASIC_AUTH_FILE")
	}
	return checkURL(value, reloadExample)
}

// reloadMethods are those that programs reload by.
var reloadMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch}

// parseReloadMethod is for RELOAD_METHOD, in any case.
func parseReloadMethod(value string) (string, error) {
	method := strings.ToUpper(value)
	if !slices.Contains(reloadMethods, method) {
		return "", errors.New("is no method to reload by: use POST, PUT, PATCH or GET")
	}
	return method, nil
}

// checkReloadTimeout is for RELOAD_TIMEOUT: a call without an end would hold up all that
// follows.
func checkReloadTimeout(timeout time.Duration) error {
	if timeout <= 0 {
		return errors.New("leaves no time for an answer: use more than 0, such as 10s")
	}
	return nil
}

// checkReloadBasicAuthFile is for RELOAD_BASIC_AUTH_FILE, if it is set beside this
// RELOAD_BEARER_TOKEN_FILE: a request has one Authorization.
func checkReloadBasicAuthFile(tokenFile string) error {
	if tokenFile != "" {
		return errors.New("cannot be used with RELOAD_BEARER_TOKEN_FILE: unset one of them")
	}
	return nil
}
