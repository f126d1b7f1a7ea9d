package check

import (
	"context"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/validate"
)

// state adds what the podsignal that runs here knows: that something was rejected.
func (r *Report) state(s *deliver.Status) {
	r.rejected = s.Rejects()
	if !s.Held.IsZero() {
		r.add(LevelOK, "state", "a change is held since %s: %s", s.Held.UTC().Format(time.RFC3339), strings.TrimPrefix(s.Pending, "held: "))
	}
	for _, text := range r.rejected {
		r.add(LevelFail, "state", "%s", text)
	}
}

// validate runs the command of VALIDATE on what is there now.
func (r *Report) validate(ctx context.Context, rule config.Rule) {
	if rule.Validate == nil {
		return
	}
	for _, p := range r.Processes {
		r.image(p)
	}
	err := validate.Run(ctx, rule.Validate)
	defer func() { r.Verdict = r.worst() }()
	if err == nil {
		r.add(LevelOK, "validate", "%s succeeds on what is there now", rule.Validate[0])
		return
	}
	hint := "; run it here to see what it writes. If the program runs with these files, the validator does not work in this container"
	if len(r.rejected) > 0 {
		hint = "" // that is why
	}
	r.add(LevelFail, "validate", "%v%s", err, hint)
}
