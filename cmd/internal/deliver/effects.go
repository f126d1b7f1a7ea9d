package deliver

import (
	"time"

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
		switch r.Outcome {
		case verify.Died:
			log.Warn("program died after the signal; see its log")
		case verify.Kept:
			log.Warn("program rejected the new configuration (workers not replaced); see its log")
		default:
			log.Info("reload outcome")
		}
		l.post(r.Target.PID, r.Outcome, r.Was, r.Digest, nil)
	}
}
