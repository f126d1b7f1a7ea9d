// Package send is podsignal send: it notifies the program now, without a change.
package send

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/status"
	"github.com/podsignal/podsignal/cmd/internal/validate"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// ErrFailed follows output that has said why.
var ErrFailed = errors.New("not sent, or of no use")

// A UsageError is one of the command line.
type UsageError string

// Error is the whole text.
func (e UsageError) Error() string { return string(e) }

const usage = "use podsignal send, with --signal NAME, --rule NAME or --unapproved, or with none of them"

// arguments are those of the command line.
type arguments struct {
	signal, rule string
	unapproved   bool // what HOLD says does not count
}

// quiet logs nothing: what is to be said is printed.
var quiet = slog.New(slog.DiscardHandler)

// Run notifies the targets of a rule as a change would, but for SPLAY, and prints what becomes of
// it. The error is ErrFailed if somebody was not notified, or has ended or rejected its
// configuration then, and a UsageError if the arguments are wrong.
//
// It is a process of its own beside the sidecar. So that neither takes the effect of the other's
// signal for that of its own, it waits while the sidecar watches one, and opens no file.
func Run(ctx context.Context, args []string, out io.Writer) error {
	a, err := parse(args)
	if err != nil {
		return err
	}
	cfg, err := config.Load()
	if err != nil {
		return UsageError(err.Error())
	}
	rule, own, err := a.choose(cfg.Rules)
	if err != nil {
		return err
	}
	var p printer
	p.out, p.rule = out, rule
	sidecar, err := atRest(ctx, rule)
	if err != nil {
		return err
	}
	w := watcher.New(rule.WatcherOptions(nil, quiet))
	if rule.Hold != "" && !a.unapproved {
		if err := approved(ctx, rule, w); err != nil {
			return p.fail(fmt.Sprintf("not sent, for the program would load what is not approved: %v: approve it, or use --unapproved", err))
		}
	}
	if own && rule.Validate != nil {
		if err := validate.Run(ctx, rule.Validate); err != nil {
			return p.fail(invalid(err))
		}
	}
	_, _ = w.Glance(ctx) // what is unreadable is nothing that can be seen to be opened
	sent, err := deliver.Once(ctx, rule, w, pids(sidecar), quiet)
	if err != nil {
		return p.fail(err.Error())
	}
	return p.print(sent)
}

func parse(args []string) (a arguments, err error) {
	flags := flag.NewFlagSet("send", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	flags.StringVar(&a.signal, "signal", "", "")
	flags.StringVar(&a.rule, "rule", "", "")
	flags.BoolVar(&a.unapproved, "unapproved", false, "")
	if err := flags.Parse(args); err != nil {
		return a, UsageError(fmt.Sprintf("%v: %s", err, usage))
	}
	if flags.NArg() > 0 {
		return a, UsageError(fmt.Sprintf("unknown argument %q: %s", flags.Arg(0), usage))
	}
	return a, nil
}

// choose returns the rule that is meant, with the signal that is meant, and whether that is the
// rule's own way to have its program reload.
func (a arguments) choose(rules []config.Rule) (rule config.Rule, own bool, err error) {
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	i := slices.Index(names, a.rule)
	switch {
	case i >= 0:
	case a.rule != "" && rules[0].Name == "":
		return rule, false, UsageError(fmt.Sprintf("--rule %s names no rule, since RULES is not set: leave it out", a.rule))
	case a.rule != "":
		return rule, false, UsageError(fmt.Sprintf("--rule %s is none of RULES: use %s", a.rule, strings.Join(names, " or ")))
	case len(rules) > 1:
		return rule, false, UsageError(fmt.Sprintf("there are several rules: use --rule with %s", strings.Join(names, " or ")))
	default:
		i = 0
	}
	rule = rules[i]
	if a.signal == "" {
		return rule, true, nil
	}
	sig, err := signal.Parse(a.signal)
	if err != nil {
		return rule, false, UsageError(fmt.Sprintf("--signal %s %v", a.signal, err))
	}
	if rule.Process == "" {
		return rule, false, UsageError("--signal needs PROCESS: set it to the program's name")
	}
	own = rule.Reload == nil && rule.Signal == sig
	if !own {
		rule.ReplaceSignal(sig)
	}
	return rule, own, nil
}

// invalid is what the command of VALIDATE says, with what it wrote.
func invalid(err error) string {
	text := err.Error()
	if failed, ok := errors.AsType[*validate.Error](err); ok && failed.Output != "" {
		text += ": " + failed.Output
	}
	return text
}

// restWithin is how much longer than VERIFY to wait for the sidecar to be done with a signal.
const restWithin = 2 * time.Second

// atRest waits until the sidecar watches no effect of a signal of its own, and returns what it says
// of the rule; nil: there is no sidecar.
func atRest(ctx context.Context, rule config.Rule) (*deliver.Status, error) {
	deadline := time.Now().Add(rule.Verify + restWithin)
	for {
		s := sidecarOf(rule)
		watches := s != nil && slices.ContainsFunc(s.Targets, func(t deliver.TargetStatus) bool { return time.Now().Before(t.Watched.Time) })
		if !watches || time.Now().After(deadline) {
			return s, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// sidecarOf is what the sidecar says of the rule; nil: there is none.
func sidecarOf(rule config.Rule) *deliver.Status {
	all, _ := status.Read() // without a sidecar nothing is known of its targets
	for _, d := range all {
		if d.Rule == rule.Name && d.Process == rule.Process && slices.Equal(d.Files, rule.Files.Paths) {
			return d.Status
		}
	}
	return nil
}

// pids are those of the sidecar's targets: it knows which processes were workers of a master that
// has died.
func pids(s *deliver.Status) (all []int) {
	if s != nil {
		for _, t := range s.Targets {
			all = append(all, t.PID)
		}
	}
	return all
}
