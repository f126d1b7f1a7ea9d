package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// noticesWaiting is how many notices may wait for one that is tried again.
	noticesWaiting = 16

	// notifyTimeout is for one try.
	notifyTimeout = 10 * time.Second

	// notifyPatience is the age at which a notice is given up: it is no news any more.
	notifyPatience = 10 * time.Minute
)

// retryNotify is how long to wait after a try that failed, see trouble.go.
var retryNotify = [2]time.Duration{time.Second, time.Minute}

// undelivered is the outcome of a change that has reached nobody for a minute.
const undelivered outcome = "undelivered"

// A notice tells people of one delivery. Like the log, it has nothing of what the files
// hold. What is empty is left out.
type notice struct {
	Text         string    `json:"text"` // empty: post fills it in
	Rule         string    `json:"rule,omitempty"`
	File         string    `json:"file"`                   // FILE, comma-separated
	DigestBefore string    `json:"digestBefore,omitempty"` // as the log has it; what the process runs if the delivery failed
	DigestAfter  string    `json:"digestAfter"`
	Process      string    `json:"process,omitempty"`
	PID          int       `json:"pid,omitempty"`
	Signal       string    `json:"signal,omitempty"`
	ReloadURL    string    `json:"reloadUrl,omitempty"` // post leaves the query out
	Outcome      outcome   `json:"outcome"`
	Cause        string    `json:"cause,omitempty"` // the error of the last attempt, if undelivered
	Pod          string    `json:"pod,omitempty"`
	Namespace    string    `json:"namespace,omitempty"`
	Time         time.Time `json:"time"` // zero: post fills it in
}

// sentence is the notice for people, in one line. The field text is what Slack,
// Mattermost and others that take their webhooks show of a JSON document.
func (n *notice) sentence() string {
	var b strings.Builder
	b.WriteString("podsignal: ")
	if n.Pod != "" {
		if n.Namespace != "" {
			b.WriteString(n.Namespace + "/")
		}
		b.WriteString(n.Pod + ": ")
	}
	if n.Rule != "" {
		b.WriteString(n.Rule + ": ")
	}
	who := cmp.Or(n.Process, n.ReloadURL)
	what := n.File + " (digest " + n.DigestAfter + ")"
	after := ""
	switch {
	case n.Signal != "":
		after = " after " + n.Signal
	case n.Process != "":
		after = " after a call of " + n.ReloadURL
	}
	switch n.Outcome {
	case died, ended:
		fmt.Fprintf(&b, "%s %s%s: it was told of %s", who, n.Outcome, after, what)
	case restarted:
		fmt.Fprintf(&b, "%s was restarted%s: it was told of %s", who, after, what)
	case kept:
		fmt.Fprintf(&b, "%s kept its workers%s: it refused %s", who, after, what)
	case undelivered:
		fmt.Fprintf(&b, "%s has not been told of %s", who, what)
		if n.Cause != "" {
			b.WriteString(": " + n.Cause)
		}
	case replaced:
		fmt.Fprintf(&b, "%s replaced its workers%s: it was told of %s", who, after, what)
	case read:
		fmt.Fprintf(&b, "%s read %s%s", who, what, after)
	case accepted:
		fmt.Fprintf(&b, "%s accepted %s%s", who, what, after)
	case unseen:
		fmt.Fprintf(&b, "%s showed no effect%s: it was told of %s", who, after, what)
	default:
		fmt.Fprintf(&b, "%s was told of %s", who, what)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// A notifier posts notices to NOTIFY_URL, one after another. That URL is a secret as a
// whole: who knows it may write to the channel. Only its host is ever shown.
type notifier struct {
	endpoint endpoint
	host     string
	log      *slog.Logger
	queue    chan queued
	lastErr  atomic.Pointer[error] // of the notice that is being tried; nil: none yet
	troubled atomic.Bool           // a notice was lost, and none has arrived since

	sent, failed, dropped atomic.Uint64
}

type queued struct {
	notice
	at time.Time
}

// newNotifier is for a URL that checkNotifyURL has let pass; caFile may be empty. Unlike
// a reload, a notice leaves the pod: a proxy that the environment names is used.
func newNotifier(url, caFile string, log *slog.Logger) *notifier {
	return &notifier{
		endpoint: endpoint{prefix: "NOTIFY", url: url, caFile: caFile, timeout: notifyTimeout, proxy: http.ProxyFromEnvironment},
		host:     hostOf(url),
		log:      log,
		queue:    make(chan queued, noticesWaiting),
	}
}

// checkNotifyURL says what is wrong with NOTIFY_URL; see checkURL. No more of the value
// than hostOf may be shown with it.
func checkNotifyURL(value string) error {
	return checkURL(value, "https://hooks.example.com/services/ID")
}

// post has a notice sent in the background. It never waits: where too many wait already,
// the notice is dropped. It may be called from any goroutine.
func (n *notifier) post(note notice) {
	now := time.Now()
	if note.Time.IsZero() {
		note.Time = now
	}
	note.Time = note.Time.UTC().Truncate(time.Second)
	if note.ReloadURL != "" {
		note.ReloadURL = shownURL(note.ReloadURL)
	}
	if note.Text == "" {
		note.Text = note.sentence()
	}
	select {
	case n.queue <- queued{note, now}:
	default:
		n.dropped.Add(1)
		err := errors.New("none has been answered yet")
		if last := n.lastErr.Load(); last != nil {
			err = *last
		}
		n.lost(fmt.Errorf("%d others wait already: %w", noticesWaiting, err))
	}
}

// counts are the notices that have arrived, those that were given up, and those that
// were dropped since too many waited. It may be called from any goroutine.
func (n *notifier) counts() (sent, failed, dropped uint64) {
	return n.sent.Load(), n.failed.Load(), n.dropped.Load()
}

// run sends what is posted until ctx is done, and then returns nil at once. What waits
// then is lost.
func (n *notifier) run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case next := <-n.queue:
			n.deliver(ctx, next)
		}
	}
	return nil
}

// lost tells that a notice was given up or dropped: once, until one arrives again.
func (n *notifier) lost(err error) {
	if n.troubled.CompareAndSwap(false, true) {
		n.log.Warn("a notice is lost, later ones may be too: look at NOTIFY_URL and its host", "host", n.host, "err", err)
	}
}

// deliver tries to send a notice until that has succeeded, cannot succeed any more, or
// the notice is too old. The first try is made in any case.
func (n *notifier) deliver(ctx context.Context, q queued) {
	defer n.lastErr.Store(nil)
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(q.notice) // cannot fail: strings, and a time of this age
	for wait := retryNotify[0]; ; wait = min(2*wait, retryNotify[1]) {
		again, err := n.try(ctx, body.Bytes())
		late := time.Since(q.at)+wait > notifyPatience
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			n.sent.Add(1)
			n.troubled.Store(false)
			return
		case again && late:
			err = fmt.Errorf("given up after %v: %w", notifyPatience, err)
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
func (n *notifier) try(ctx context.Context, body []byte) (again bool, err error) {
	a, err := n.endpoint.call(ctx, http.MethodPost, http.Header{"Content-Type": {"application/json"}}, body)
	switch {
	case err != nil:
		return true, err
	case a.code/100 == 2:
		return false, nil
	case a.code == http.StatusTooManyRequests, a.code >= 500:
		return true, fmt.Errorf("it answers %s", statusText(a.code))
	case a.code/100 == 3:
		return false, fmt.Errorf("it answers %s, and redirects are not followed: correct NOTIFY_URL", statusText(a.code))
	}
	return false, fmt.Errorf("it answers %s: correct NOTIFY_URL", statusText(a.code))
}
