package notify

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// A Notification tells people of one delivery. Like the log, it has nothing of what the files
// hold. What is empty is left out.
type Notification struct {
	Text         string         `json:"text"` // by Post, as are Pod, Namespace and Time
	Rule         string         `json:"rule,omitempty"`
	File         string         `json:"file"`                    // FILE, comma-separated
	DigestBefore string         `json:"digest_before,omitempty"` // as the log has it; what the process runs if the delivery failed
	DigestAfter  string         `json:"digest_after"`
	Process      string         `json:"process,omitempty"`
	PID          int            `json:"pid,omitempty"`
	Signal       string         `json:"signal,omitempty"`
	ReloadURL    string         `json:"reload_url,omitempty"` // Post leaves the query out
	Outcome      verify.Outcome `json:"outcome"`
	Cause        string         `json:"cause,omitempty"` // of a failure: the error
	Pod          string         `json:"pod,omitempty"`
	Namespace    string         `json:"namespace,omitempty"`
	Time         time.Time      `json:"time"`
}

// sentence is the notification for people, in one line. The field text is what Slack,
// Mattermost and others that take their webhooks show of a JSON document.
func (n *Notification) sentence() string {
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
	case verify.Died, verify.Ended:
		fmt.Fprintf(&b, "%s %s%s for %s", who, n.Outcome, after, what)
	case verify.Restarted:
		fmt.Fprintf(&b, "%s was restarted%s for %s", who, after, what)
	case verify.Refused:
		fmt.Fprintf(&b, "%s rejected %s%s", who, what, after)
	case verify.Invalid:
		fmt.Fprintf(&b, "%s is invalid, and %s was not notified of it", what, who)
	case verify.Resolved:
		fmt.Fprintf(&b, "resolved: %s has %s", who, what)
	case verify.Undelivered:
		fmt.Fprintf(&b, "%s was not notified of %s", who, what)
	case verify.Replaced:
		fmt.Fprintf(&b, "%s replaced its workers%s for %s", who, after, what)
	case verify.Read:
		fmt.Fprintf(&b, "%s read %s%s", who, what, after)
	case verify.Accepted:
		fmt.Fprintf(&b, "%s accepted %s%s", who, what, after)
	case verify.Unseen:
		fmt.Fprintf(&b, "%s showed no effect%s for %s", who, after, what)
	default:
		fmt.Fprintf(&b, "%s was notified of %s", who, what)
	}
	if n.Cause != "" {
		b.WriteString(": " + n.Cause)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
