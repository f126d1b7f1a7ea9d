package deliver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/validate"
	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// validation is what VALIDATE says of the files.
type validation struct {
	passed  [32]byte // the digest that was valid last
	failing retrying // of what the files show now
	running *validator
}

// A validator is a command that runs.
type validator struct {
	void   bool // the files have changed meanwhile
	cancel context.CancelFunc
	result chan error
	began  time.Time
}

// stop kills the command.
func (v *validator) stop() {
	v.void = true
	v.cancel()
}

// validated tells whether what the files show may be sent. Where that is not known, it has it
// found out, and the result wakes the loop.
func (l *Loop) validated(ctx context.Context) bool {
	v := &l.validation
	switch {
	case l.rule.Validate == nil, v.passed == l.desired.Digest:
		return true
	case v.running != nil, time.Now().Before(v.failing.next), !l.whole():
		return false
	}
	limited, cancel := context.WithCancel(ctx)
	v.running = &validator{cancel: cancel, result: make(chan error, 1), began: time.Now()}
	l.verify.Pause()
	go func(result chan<- error) { result <- l.env.validate(limited) }(v.running.result)
	return false
}

// validateChange has a change validated before anything else is done for it. What was there at
// the start is not, unless somebody is to be notified of it: the program starts just now.
func (l *Loop) validateChange(ctx context.Context) {
	if l.counts.Changes > 0 && l.undelivered() && l.holding.approved {
		l.validated(ctx)
	}
}

// validateAt is when to run the command again; zero: never.
func (l *Loop) validateAt() time.Time {
	if !l.undelivered() || !l.holding.approved {
		return time.Time{}
	}
	return l.validation.failing.next
}

// validity is the result of the command that runs; nil: none does.
func (l *Loop) validity() <-chan error {
	if l.validation.running == nil {
		return nil
	}
	return l.validation.running.result
}

// valid takes the result of a command. It is void if the files have changed meanwhile.
func (l *Loop) valid(err error) {
	v := &l.validation
	run := v.running
	run.cancel()
	v.running = nil
	l.verify.Resume()
	switch {
	case run.void || !l.whole():
	case err == nil:
		v.passed, v.failing = l.desired.Digest, retrying{}
		l.log.Debug("configuration valid", "digest", l.digest(), "took", time.Since(run.began))
	default:
		l.invalid(err)
	}
}

// invalid notes that a command has failed. It is run again: its cause may be temporary.
func (l *Loop) invalid(err error) {
	f := &l.validation.failing
	if f.allow(slog.LevelWarn) {
		var output slog.Attr // left out if it has written nothing
		if failed, ok := errors.AsType[*validate.Error](err); ok && failed.Output != "" {
			output = slog.String("output", failed.Output)
		}
		l.log.LogAttrs(context.Background(), slog.LevelWarn, "configuration invalid, not sent: fix it",
			l.digestAttr(), slog.String("outcome", string(verify.Invalid)), slog.Int("tries", f.tries), slog.Any("err", err), output)
	}
	f.fails(err)
	f.retry(retrySend)
	if l.sync.rejected.Digest == l.digest() && l.sync.rejected.Outcome == verify.Invalid {
		return // that has been told
	}
	l.sync.rejected = verify.State{Digest: l.digest(), Since: time.Now(), Outcome: verify.Invalid}
	l.counts.Outcomes[verify.Invalid]++
	running := ""
	if len(l.targets) > 0 {
		running = l.targets[0].Running.Digest
	}
	l.post(0, verify.Invalid, running, l.digest(), err)
}

// endValidation kills a command that runs, and waits for its end.
func (l *Loop) endValidation() {
	if run := l.validation.running; run != nil {
		run.stop()
		l.log.Debug("validation ended, as podsignal ends", "err", <-run.result)
	}
}
