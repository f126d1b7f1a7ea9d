package deliver

import (
	"errors"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/reload"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
)

// overdueAfter is how long a change may reach nobody before a notification says so.
const overdueAfter = time.Minute

// overdue tells once of content that has not been delivered for so long, and returns
// when it will be time for that; zero: never.
func (l *Loop) overdue() time.Time {
	if l.sync.outOfSyncSince.IsZero() {
		l.sync.notified = [32]byte{}
	}
	t, failing := l.oldest()
	if l.env.notify == nil || l.sync.outOfSyncSince.IsZero() || failing.began.IsZero() || l.sync.notified == l.desired.Digest {
		return time.Time{}
	}
	since := failing.began
	if l.sync.notified != ([32]byte{}) { // it has been told that this fails, but of other content
		since = failing.since
	}
	if since.IsZero() { // of this content, nothing has failed yet
		since = time.Now()
	}
	wrong, _ := errors.AsType[*reload.StatusError](failing.err)
	switch {
	case wrong != nil && wrong.Refused():
		return time.Time{} // that has been told
	case wrong != nil && wrong.WrongCall(): // to wait does not help
	case time.Now().Before(since.Add(overdueAfter)):
		return since.Add(overdueAfter)
	}
	l.sync.notified = l.desired.Digest
	before, pid := l.sync.reached, 0
	if t != nil {
		pid = t.PID
		if !t.unknown {
			before = t.applied
		}
	}
	l.post(pid, verify.Undelivered, shortOf(before), l.digest(), failing.err)
	return time.Time{}
}

// oldest is the failure that keeps what the files show from a target for the longest
// time, and that target; nil: from all.
func (l *Loop) oldest() (target *targetState, oldest failure) {
	older := func(f failure) bool {
		return !f.began.IsZero() && (oldest.began.IsZero() || f.began.Before(oldest.began))
	}
	for _, all := range []failure{l.desired.filesFailure.failure, l.search.noTarget.failure} {
		if older(all) {
			oldest = all
		}
	}
	for _, t := range l.targets {
		if !l.runs(t) && older(t.failing.failure) {
			target, oldest = t, t.failing.failure
		}
	}
	return target, oldest
}

// post has a notification sent; pid 0: it is about all targets.
func (l *Loop) post(pid int, seen verify.Outcome, before, after string, cause error) {
	if l.env.notify == nil || l.rule.DryRun {
		return
	}
	l.sync.told = l.sync.told || seen.Failed()
	n := notify.Notification{
		Rule: l.rule.Name, File: strings.Join(l.rule.Files.Paths, ","),
		DigestBefore: before, DigestAfter: after,
		Process: l.rule.Process, PID: pid, Outcome: seen,
	}
	if l.rule.Reload != nil {
		n.ReloadURL = l.rule.Reload.URL
	} else {
		n.Signal = signal.Name(l.rule.Signal)
	}
	if cause != nil {
		n.Cause = cause.Error()
	}
	l.env.notify(n)
}
