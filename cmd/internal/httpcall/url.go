package httpcall

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// CheckURL says what keeps a URL from being called. The text is to follow
// NAME="value", where the value is shown as ShownURL or HostOf has it.
func CheckURL(raw, example string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("is not a valid http:// or https:// URL: use one such as %s", example)
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

// CheckCAFile is for PREFIX_CA_FILE, if it is set beside this PREFIX_URL.
func CheckCAFile(prefix, endpointURL string) error {
	if u, err := url.Parse(endpointURL); err == nil && u.Scheme == "http" {
		return fmt.Errorf("is not used with http://: unset it, or use https:// in %s_URL", prefix)
	}
	return nil
}

// ShownURL is a URL, whether it is valid or not, less all that may be secret: the user,
// the query and the fragment.
func ShownURL(raw string) string {
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

// HostOf is all that may be shown of a URL that is a secret as a whole; empty if it has
// no host.
func HostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
