package deliver

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/internal/reload"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

const (
	// readWithin is the least time that a program may take to read its files after a
	// signal, or after its start. Of 19 programs 15 opened them within 22 ms, and the
	// slowest within 1 s.
	readWithin = time.Second

	// maxRepeats is how often in a row the same content is delivered again because the
	// files changed and changed back meanwhile. A program that writes there itself when
	// it reloads would be signalled for ever.
	maxRepeats = 3
)

// An attempt is a signal that was sent, or a call that was made, or failed.
type attempt struct {
	target *targetState
	shown  watcher.Snapshot // right before
	called bool             // the target has answered, or should have
	err    error
}

// A call is one whose answer is awaited.
type call struct {
	attempt
	answer <-chan error
}

// deliver notifies those of the targets that need it and may be notified now.
func (l *Loop) deliver(ctx context.Context, targets []*targetState) {
	for _, t := range targets {
		if l.calling != nil {
			return // one at a time; its answer is followed by a look
		}
		if l.runs(t) {
			if !t.due.IsZero() {
				l.log.LogAttrs(ctx, slog.LevelDebug, "no reload needed: the files are back to what it runs", t.pid(), l.digestAttr())
			}
			t.failing, t.due = retrying{}, time.Time{}
			continue
		}
		if !l.whole() {
			return // a snapshot follows
		}
		if l.holds(t) {
			l.hold(t)
			continue
		}
		if !l.validated(ctx) {
			return // so does its result
		}
		if t.due.IsZero() {
			if t.applied == ([32]byte{}) && t.Started >= l.desired.Changed {
				l.log.LogAttrs(ctx, slog.LevelInfo, "process started during the change and may have read the old files, reloading it", t.pid(), l.digestAttr())
			}
			l.splay(ctx, t)
		}
		for _, due := range []time.Time{t.due, t.sent.Add(l.rule.MinInterval)} {
			if t.failing.next.Before(due) {
				t.failing.next = due
			}
		}
		if !time.Now().Before(t.failing.next) {
			l.tell(ctx, t)
		}
	}
}

// runs tells whether a target runs what is desired, as far as is known.
func (l *Loop) runs(t *targetState) bool {
	return t.applied == l.desired.Digest && !t.doubtful && !l.calls(t)
}

// calls tells whether a target's answer is awaited.
func (l *Loop) calls(t *targetState) bool { return l.calling != nil && l.calling.target == t }

// answer is that of the call under way; nil: none is.
func (l *Loop) answer() <-chan error {
	if l.calling == nil {
		return nil
	}
	return l.calling.answer
}

// readWithin is how long a program may be reading what it was signalled for.
func (l *Loop) readWithin() time.Duration { return max(l.rule.MinInterval, readWithin) }

// splay begins the wait for SPLAY. Newer content does not begin it anew: changes that
// keep coming would put off the signal for ever.
func (l *Loop) splay(ctx context.Context, t *targetState) {
	t.due = time.Now().Add(l.rule.Splay.Share)
	if l.rule.Splay.Within > 0 {
		l.log.LogAttrs(ctx, slog.LevelInfo, "waiting for this replica's share of SPLAY",
			l.digestAttr(), t.pid(), slog.Duration("splay", l.rule.Splay.Within), slog.Time("until", t.due))
	}
}

// tell notifies a target, if it is ready for that.
func (l *Loop) tell(ctx context.Context, t *targetState) {
	a := attempt{target: t, shown: l.desired.Snapshot}
	a.err = l.env.way.ready(t.Target.Target)
	if a.err != nil || l.rule.DryRun {
		l.attempted(a)
		return
	}
	watched := l.verify.Prepare(&t.Target, l.digest(), shortOf(t.applied))
	var answer <-chan error
	answer, a.err = l.env.way.tell(ctx, t.Target.Target)
	if answer != nil {
		t.doubtful = false // what changes from here on it may have read
		l.calling = &call{a, answer}
		return
	}
	if a.err == nil {
		l.report(l.verify.Sent(watched, l.newest()))
	}
	l.attempted(a)
}

// answered takes the answer to the call under way.
func (l *Loop) answered(err error) {
	a := l.calling.attempt
	l.calling = nil
	a.called, a.err = true, err
	a.target.reading = time.Now()
	l.attempted(a)
}

// attempted takes what has become of an attempt.
func (l *Loop) attempted(a attempt) {
	t := a.target
	var unready *signal.NotReadyError
	switch {
	case a.err == nil:
		l.arrived(a)
	case errors.Is(a.err, signal.ErrGone):
		// Its successor has read what is there, or is notified.
		if i := slices.Index(l.targets, t); i >= 0 {
			l.targets = slices.Delete(l.targets, i, i+1)
			l.letGo(t)
		}
		l.search.next = l.search.targetGone.retry(retryReady)
	case errors.As(a.err, &unready):
		l.counts.HeldBack++
		level := slog.LevelDebug
		if t.failing.lasts() {
			level = slog.LevelWarn
		}
		if t.failing.allow(level) {
			l.logFailure(level, "reload held back, retrying", t, a.err)
		}
		t.failing.fails(a.err)
		t.failing.retry(retryReady)
		if unready.Retry > 0 {
			t.failing.next = time.Now().Add(unready.Retry)
		}
	default:
		l.failed(a)
	}
}

// logFailure logs that an attempt has failed.
func (l *Loop) logFailure(level slog.Level, message string, t *targetState, err error) {
	l.log.LogAttrs(context.Background(), level, message, t.pid(), slog.Int("tries", t.failing.tries), slog.Any("err", err)) //nolint:sloglint // one of two constants
}

// arrived takes an attempt that has succeeded.
func (l *Loop) arrived(a attempt) {
	t, before, why := a.target, a.target.applied, l.reason(a)
	t.repeats++
	if why != reasonRepeat {
		t.repeats = 0
	}
	t.applied, t.unknown, l.sync.reached, t.sent = a.shown.Digest, false, a.shown.Digest, time.Now()
	t.failing, t.due, l.search.targetGone = retrying{}, time.Time{}, backoff{}
	if !a.called {
		t.doubtful, t.reading = false, t.sent.Add(l.readWithin())
	}
	latency := a.shown.Age()
	var was slog.Attr // left out if it is unknown
	if before != ([32]byte{}) {
		was = slog.String("was", short(before))
	}
	log := l.log.With(slog.String("digest", short(t.applied)), was, t.pid(), l.rule.Action(), slog.Duration("latency", latency), slog.String("reason", string(why)))
	if l.rule.DryRun {
		log.Info("dry run: nothing is sent")
		return
	}
	log.Info(l.env.way.done()) //nolint:sloglint // one of two constants
	l.counts.sent(latency, why == reasonStartup || why == reasonNewcomer || why == reasonApproved)

	seen := verify.Unseen
	switch {
	case a.called:
		seen = verify.Accepted
		t.Outcome = seen
		t.Runs(short(t.applied))
		l.counts.Outcomes[seen]++
	case l.rule.Expect == verify.ExpectNone:
		t.Runs(short(t.applied))
	}
	if !a.called && l.rule.Verify > 0 {
		return // its outcome follows
	}
	l.post(t.PID, seen, shortOf(before), shortOf(t.applied), nil)
}

// failed takes an attempt that has failed.
func (l *Loop) failed(a attempt) {
	t := a.target
	l.counts.Failed++
	level := slog.LevelInfo
	answer, _ := errors.AsType[*reload.StatusError](a.err)
	definite := answer != nil && !answer.NotReady()
	if t.failing.lasts() || errors.Is(a.err, unix.EPERM) || definite {
		level = slog.LevelWarn
	}
	if t.failing.allow(level) {
		l.logFailure(level, "reload failed, retrying", t, a.err)
	}
	t.failing.fails(a.err)
	t.failing.retry(retrySend)
	if a.shown.Digest != l.desired.Digest {
		t.failing.renew() // of what the files show now nothing has failed
	}
	if !a.called {
		return
	}
	if answer != nil && answer.Refused() {
		l.refusedBy(a)
	}
	// Without an answer it may have loaded the files all the same, and it may say
	// for ever that it has refused, if it is not called again.
	t.applied, t.unknown = [32]byte{}, true
}

// refusedBy notes that the answer to a call was no: of the same content that is told once.
func (l *Loop) refusedBy(a attempt) {
	t, digest := a.target, short(a.shown.Digest)
	again := t.Rejected.Digest == digest
	t.Outcome = verify.Refused
	t.Rejects(digest, verify.Refused)
	if !again {
		l.counts.Outcomes[verify.Refused]++
		l.post(t.PID, verify.Refused, t.Running.Digest, digest, a.err)
	}
}

func (l *Loop) digest() string { return short(l.desired.Digest) }

func (l *Loop) digestAttr() slog.Attr { return slog.String("digest", l.digest()) }

// short is a digest as it is shown: enough to tell any two of a file's life apart.
func short(digest [32]byte) string { return hex.EncodeToString(digest[:6]) }

// shortOf is empty for no digest.
func shortOf(digest [32]byte) string {
	if digest == ([32]byte{}) {
		return ""
	}
	return short(digest)
}
