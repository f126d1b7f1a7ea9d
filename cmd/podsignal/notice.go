package main

import (
	"strings"
	"time"

	"github.com/podsignal/podsignal/signal"
)

// overdueAfter is how long a change may reach nobody before that is told by NOTIFY_URL.
const overdueAfter = time.Minute

// arrived tells of what is known to have arrived already. The rest comes from verify.
func (d *delivery) arrived(t *told, before [32]byte) {
	seen := unseen
	switch {
	case d.call != nil:
		seen = accepted
		t.outcome = seen
		d.counts.outcomes[seen]++
	case d.rule.verify > 0:
		return
	}
	if d.notifyAll {
		d.post(t, seen, shortOf(before), shortOf(t.applied), nil)
	}
}

// overdue tells once of content that has not been delivered for so long, and returns
// when it will be time for that; zero: never.
func (d *delivery) overdue() time.Time {
	if d.behind.IsZero() {
		d.noticed = [32]byte{}
	}
	t, failing := d.oldest()
	if d.notify == nil || d.behind.IsZero() || failing.began.IsZero() || d.noticed == d.desired.Digest {
		return time.Time{}
	}
	since := failing.began
	if d.noticed != ([32]byte{}) { // it has been told that this fails, but of other content
		since = failing.since
	}
	if since.IsZero() { // of this content, nothing has failed yet
		since = time.Now()
	}
	if at := since.Add(overdueAfter); time.Now().Before(at) {
		return at
	}
	d.noticed = d.desired.Digest
	before := d.reached
	if t != nil && d.call == nil {
		before = t.applied
	}
	d.post(t, undelivered, shortOf(before), d.digest(), failing.err)
	return time.Time{}
}

// oldest is the trouble that keeps what the files show from a target for the longest
// time, and that target; nil: from all.
func (d *delivery) oldest() (target *told, oldest trouble) {
	older := func(t trouble) bool {
		return !t.began.IsZero() && (oldest.began.IsZero() || t.began.Before(oldest.began))
	}
	for _, all := range []trouble{d.held, d.missing} {
		if older(all) {
			oldest = all
		}
	}
	for _, t := range d.targets {
		if !d.runs(t) && older(t.failing) {
			target, oldest = t, t.failing
		}
	}
	return target, oldest
}

// post sends a notice, if that is wanted.
func (d *delivery) post(t *told, seen outcome, before, after string, cause error) {
	if d.notify == nil || d.rule.dryRun {
		return
	}
	n := notice{
		Rule: d.rule.name, File: strings.Join(d.rule.files, ","),
		DigestBefore: before, DigestAfter: after,
		Process: d.rule.process, Outcome: seen,
	}
	if t != nil {
		n.PID = t.PID
	}
	if d.rule.reload != nil {
		n.ReloadURL = d.rule.reload.url
	} else {
		n.Signal = signal.Name(d.rule.signal)
	}
	if cause != nil {
		n.Cause = cause.Error()
	}
	d.notify(n)
}
