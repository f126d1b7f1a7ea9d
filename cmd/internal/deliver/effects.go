package deliver

import (
	"errors"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// checkEffects checks the targets that were signalled.
func (l *Loop) checkEffects() {
	results, ended := l.verify.Look(l.newest())
	if ended {
		l.search.next = time.Now() // for its successor
	}
	l.report(results)
}

// report tells what became of signals.
func (l *Loop) report(results []verify.Result) {
	for _, r := range results {
		l.counts.Outcomes[r.Outcome]++
		log := l.log.With("digest", r.Digest, "pid", r.Target.PID, "outcome", string(r.Outcome))
		i := slices.IndexFunc(l.targets, func(t *targetState) bool { return &t.Target == r.Target })
		switch {
		case r.Outcome == verify.Died:
			log.Warn("program died after the signal; see its log")
		case r.Outcome == verify.Refused && l.rule.Expect == verify.ExpectRead:
			log.Warn("program did not read the watched files after the signal: does its image copy them when it starts?")
		case r.Outcome == verify.Refused:
			log.Warn("program rejected the new configuration (workers not replaced); see its log")
		default:
			log.Info("reload outcome")
		}
		l.hint(r)
		if i < 0 {
			if !r.Target.Rejected.None() {
				l.sync.rejected = r.Target.Rejected
			}
		} else {
			l.targets[i].refusal = verify.Result{}
			if r.Outcome == verify.Refused {
				l.targets[i].refusal = r // it may only be slow
				continue
			}
		}
		l.post(r.Target.PID, r.Outcome, r.Was, r.Digest, missing(l.rule, r))
	}
}

// missing is the expected effect that has not come; nil: there is none.
func missing(rule config.Rule, r verify.Result) error {
	switch {
	case r.Outcome != verify.Refused:
		return nil
	case rule.Expect == verify.ExpectRead:
		return errors.New("it did not read the watched files")
	default:
		return errors.New("its workers were not replaced")
	}
}

// hint warns once of a program that seems to read other files than those that are watched.
func (l *Loop) hint(r verify.Result) {
	read := r.Outcome == verify.Read || r.Outcome == verify.Replaced && !r.Unread
	unread := r.Unread && (r.Outcome == verify.Replaced || r.Outcome == verify.Unseen)
	if unread && !l.hinted && l.rule.Expect != verify.ExpectNone {
		l.log.Warn("program read none of the watched files: does its image copy them when it starts? If it reads them later, set EXPECT=none", "pid", r.Target.PID)
	}
	l.hinted = l.hinted || read || unread
}

// refusals posts those that have lasted for so long that they are believed, and returns when
// to look again; zero: never.
func (l *Loop) refusals() (next time.Time) {
	for _, t := range l.targets {
		r := t.refusal
		switch {
		case r.Target == nil:
		case t.Rejected.Digest != r.Digest || r.Digest != l.digest(): // it is over, or no news any more
			t.refusal = verify.Result{}
		case time.Now().Before(r.Sent.Add(verify.Believed)):
			next = earlier(next, r.Sent.Add(verify.Believed))
		default:
			t.refusal = verify.Result{}
			l.post(t.PID, r.Outcome, r.Was, r.Digest, missing(l.rule, r))
		}
	}
	return next
}
