// Package reload has a program reload by an HTTP request, where others take a signal.
package reload

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/httpcall"
)

// Settings are RELOAD_URL and what goes with it, validated.
type Settings struct {
	URL           string // see CheckURL
	Method        string // see ParseMethod
	Timeout       time.Duration
	CAFile        string
	TokenFile     string
	BasicAuthFile string
}

// Shown is the URL without all that may be secret.
func (s *Settings) Shown() string { return ShownURL(s.URL) }

// endpoint uses no proxy, whatever the environment says: the application is in this
// pod, or in this Compose project. What net/http leaves out automatically is localhost, but
// neither the pod's address nor a service's name.
func (s *Settings) endpoint() *httpcall.Endpoint {
	return &httpcall.Endpoint{Prefix: "RELOAD", URL: s.URL, CAFile: s.CAFile, Timeout: s.Timeout, UserAgent: build.UserAgent()}
}

// Reload makes one request without a body, and returns its answer; its status is 0 if there
// was none. A status that is not 2xx is a *StatusError. All files are read anew, since
// Secrets are rotated. It does not try again, and ends at once when ctx is done.
func (s *Settings) Reload(ctx context.Context) (httpcall.Answer, error) {
	header, err := s.credentials()
	if err != nil {
		return httpcall.Answer{}, fmt.Errorf("%s %s: %w", s.Method, s.Shown(), err)
	}
	a, err := s.endpoint().Call(ctx, s.Method, header, nil)
	if err != nil {
		return httpcall.Answer{}, fmt.Errorf("%s %s: %w", s.Method, s.Shown(), err)
	}
	if a.Code/100 != 2 {
		err = &StatusError{method: s.Method, url: s.Shown(), Code: a.Code, fix: s.fix(a)}
	}
	return a, err
}

// Probe does all that Reload does but for the request: it reads the credentials, connects,
// and hangs up.
func (s *Settings) Probe(ctx context.Context) error {
	if _, err := s.credentials(); err != nil {
		return err
	}
	return s.endpoint().Connect(ctx)
}

// credentials returns the header that has them.
func (s *Settings) credentials() (http.Header, error) {
	request := http.Request{Header: make(http.Header)}
	switch {
	case s.TokenFile != "":
		const variable = "RELOAD_BEARER_TOKEN_FILE"
		content, err := httpcall.ReadSetting(variable, s.TokenFile)
		if err != nil {
			return nil, err
		}
		token := strings.TrimSpace(string(content))
		if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, fmt.Errorf("%s=%q contains no token: put the token into it, and nothing else", variable, s.TokenFile)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	case s.BasicAuthFile != "":
		const variable = "RELOAD_BASIC_AUTH_FILE"
		content, err := httpcall.ReadSetting(variable, s.BasicAuthFile)
		if err != nil {
			return nil, err
		}
		line := strings.TrimRight(string(content), "\r\n")
		user, password, ok := strings.Cut(line, ":")
		if !ok || user == "" || strings.ContainsFunc(line, unicode.IsControl) {
			return nil, fmt.Errorf("%s=%q contains no user:password: put these two into it, separated by a colon, and nothing else", variable, s.BasicAuthFile)
		}
		request.SetBasicAuth(user, password)
	}
	return request.Header, nil
}
