// Package notify posts notifications of reloads to a webhook, NOTIFY_URL.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/httpcall"
	"github.com/podsignal/podsignal/cmd/internal/verify"
)

const (
	// maxWaiting is how many notifications may wait for one that is tried again.
	maxWaiting = 16

	// timeout is for one try.
	timeout = 10 * time.Second

	// maxAge is the age at which a notification is given up: it is not news any more.
	maxAge = 10 * time.Minute
)

// retryAfter is how long to wait after a try that failed: from the first of the two times,
// doubling, to the second.
var retryAfter = [2]time.Duration{time.Second, time.Minute}

// A Notifier posts notifications to NOTIFY_URL, one after another. That URL is a secret as a
// whole: who knows it may write to the channel. Only its host is ever shown.
type Notifier struct {
	settings Settings
	endpoint httpcall.Endpoint
	log      *slog.Logger
	queue    chan queued
	lastErr  atomic.Pointer[error] // of the notification that is being tried; nil: none yet
	troubled atomic.Bool           // a notification was lost, and none has arrived since

	sent, failed, dropped atomic.Uint64
}

type queued struct {
	Notification
	at time.Time
}

// Settings are NOTIFY_URL and what goes with it, validated.
type Settings struct {
	URL            string // see CheckURL
	CAFile         string // empty: the system's authorities
	All            bool   // of what has succeeded too
	Pod, Namespace string // empty: unknown
}

// New is for settings that are valid. Unlike a reload, a notification leaves the pod: a proxy
// that the environment names is used.
func New(s Settings, log *slog.Logger) *Notifier {
	return &Notifier{
		settings: s,
		endpoint: httpcall.Endpoint{
			Prefix: "NOTIFY", URL: s.URL, CAFile: s.CAFile, Timeout: timeout,
			Proxy: http.ProxyFromEnvironment, UserAgent: build.UserAgent(),
		},
		log:   log,
		queue: make(chan queued, maxWaiting),
	}
}

// CheckURL says what is wrong with NOTIFY_URL; see httpcall.CheckURL. No more of the value
// than Host may be shown with it.
func CheckURL(value string) error {
	return httpcall.CheckURL(value, "https://hooks.example.com/services/ID")
}

// CheckCAFile is for NOTIFY_CA_FILE, if it is set beside this NOTIFY_URL.
func CheckCAFile(url string) error { return httpcall.CheckCAFile("NOTIFY", url) }

// Host is all that may be shown of a NOTIFY_URL; empty if it has no host.
func Host(url string) string { return httpcall.HostOf(url) }

// Post completes a notification, and has it sent in the background, if it is of a failure, or
// of its end, or all are wanted. It never waits: where too many wait already, the notification is dropped.
// It may be called from any goroutine.
func (n *Notifier) Post(note Notification) {
	if !n.settings.All && !note.Outcome.Failed() && note.Outcome != verify.Resolved {
		return
	}
	now := time.Now()
	note.Time = now.UTC().Truncate(time.Second)
	note.Pod, note.Namespace = n.settings.Pod, n.settings.Namespace
	if note.ReloadURL != "" {
		note.ReloadURL = httpcall.ShownURL(note.ReloadURL)
	}
	note.Text = note.sentence()
	select {
	case n.queue <- queued{note, now}:
	default:
		n.dropped.Add(1)
		err := errors.New("none has been answered yet")
		if last := n.lastErr.Load(); last != nil {
			err = *last
		}
		n.lost(fmt.Errorf("%d others wait already: %w", maxWaiting, err))
	}
}

// Counts are the notifications that have arrived, those that were given up, and those that
// were dropped since too many waited. It may be called from any goroutine.
func (n *Notifier) Counts() (sent, failed, dropped uint64) {
	return n.sent.Load(), n.failed.Load(), n.dropped.Load()
}

// Run sends what is posted until ctx is done, and then returns nil at once. What waits
// then is lost.
func (n *Notifier) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case next := <-n.queue:
			n.deliver(ctx, next)
		}
	}
	return nil
}

// lost logs that a notification was given up or dropped: once, until one arrives again.
func (n *Notifier) lost(err error) {
	if n.troubled.CompareAndSwap(false, true) {
		n.log.Warn("notification lost, later ones may be too: check NOTIFY_URL and its host", "host", Host(n.settings.URL), "err", err)
	}
}

// deliver tries to send a notification until that has succeeded, cannot succeed any more, or
// the notification is too old. The first try is made in any case.
func (n *Notifier) deliver(ctx context.Context, q queued) {
	defer n.lastErr.Store(nil)
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(q.Notification) // cannot fail: strings, and a time of this age
	for wait := retryAfter[0]; ; wait = min(2*wait, retryAfter[1]) {
		again, err := n.try(ctx, body.Bytes())
		late := time.Since(q.at)+wait > maxAge
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			n.sent.Add(1)
			n.troubled.Store(false)
			return
		case again && late:
			err = fmt.Errorf("given up after %v: %w", maxAge, err)
			fallthrough
		case !again:
			n.failed.Add(1)
			n.lost(err)
			return
		}
		n.lastErr.Store(&err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// try posts once. It says whether another try may help after an error: 4xx is an answer
// to what was sent, but for 429, by which Slack and others ask to wait.
func (n *Notifier) try(ctx context.Context, body []byte) (again bool, err error) {
	a, err := n.endpoint.Call(ctx, http.MethodPost, http.Header{"Content-Type": {"application/json"}}, body)
	switch {
	case err != nil:
		return true, err
	case a.Code/100 == 2:
		return false, nil
	case a.Code == http.StatusTooManyRequests, a.Code >= 500:
		return true, fmt.Errorf("it answers %s", httpcall.StatusText(a.Code))
	case a.Code/100 == 3:
		return false, fmt.Errorf("it answers %s, and redirects are not followed: fix NOTIFY_URL", httpcall.StatusText(a.Code))
	}
	return false, fmt.Errorf("it answers %s: fix NOTIFY_URL", httpcall.StatusText(a.Code))
}
