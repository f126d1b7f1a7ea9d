package send

import (
	"errors"
	"fmt"
	"io"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/signal"
)

// A printer prints what becomes of a rule's notification.
type printer struct {
	out  io.Writer
	rule config.Rule
}

// fail says why nobody is notified.
func (p *printer) fail(why string) error {
	_, err := fmt.Fprintln(p.out, "FAIL:", why)
	return errors.Join(ErrFailed, err)
}

// print prints a line for each target.
func (p *printer) print(all []deliver.Sent) (err error) {
	for _, s := range all {
		text := p.text(s)
		level := "ok"
		if s.Err != nil {
			level, err = "FAIL", errors.Join(ErrFailed, err)
		}
		if _, e := fmt.Fprintf(p.out, "%s: %s: %s\n", level, s.To, text); e != nil {
			return e
		}
	}
	return err
}

func (p *printer) text(s deliver.Sent) string {
	what := signal.Name(p.rule.Signal) + " sent"
	if p.rule.Reload != nil {
		what = "called"
	}
	switch {
	case s.Err != nil && s.Outcome != "":
		return fmt.Sprintf("%s, %s: %v", what, s.Outcome, s.Err)
	case s.Err != nil:
		return s.Err.Error()
	case p.rule.DryRun && p.rule.Reload != nil:
		return "dry run: it would be called"
	case p.rule.DryRun:
		return fmt.Sprintf("dry run: %s would be sent", signal.Name(p.rule.Signal))
	case s.Outcome == "":
		return what
	default:
		return fmt.Sprintf("%s, %s", what, s.Outcome)
	}
}
