package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal"
)

// A way is how targets are notified of a change: by a signal, or by a call of a URL.
type way interface {
	// done is the message of the log when a target was notified.
	done() string

	// ready says why a target may not be notified now: signal.ErrGone, a
	// *signal.NotReadyError, or another error; nil if it may.
	ready(target *signal.Target) error

	// tell notifies a target that is ready. Either that is done when it returns, or the
	// answer is nil and the result comes by it later.
	tell(ctx context.Context, target *signal.Target) (answer <-chan error, err error)
}

// bySignal sends a signal.
type bySignal struct{ signal syscall.Signal }

func (bySignal) done() string { return "signalled" }

func (w bySignal) ready(target *signal.Target) error { return target.Ready(w.signal) }

func (w bySignal) tell(_ context.Context, target *signal.Target) (<-chan error, error) {
	return nil, target.Send(w.signal)
}

// byURL calls RELOAD_URL.
type byURL struct {
	grace time.Duration // least age of a process (START_GRACE)
	ended func(*signal.Target) bool
	call  func(context.Context) error
}

func (byURL) done() string { return "called" }

func (w byURL) ready(target *signal.Target) error {
	if target.PID == 0 {
		return nil // nothing is known of who answers
	}
	if w.ended(target) {
		return signal.ErrGone
	}
	if age := target.Age(); age < w.grace {
		return &signal.NotReadyError{
			Why:   fmt.Sprintf("%s (pid %d) has only just started", target.Name, target.PID),
			Retry: w.grace - age,
		}
	}
	return nil
}

// tell calls in the background: an answer may take long, and podsignal has to be able to
// end, and to tell how it is.
func (w byURL) tell(ctx context.Context, _ *signal.Target) (<-chan error, error) {
	answer := make(chan error, 1)
	go func() { answer <- w.call(ctx) }()
	return answer, nil
}

// wayOf is that of a rule.
func wayOf(rule config.Rule, p processes, log *slog.Logger) way {
	if rule.Reload == nil {
		return bySignal{rule.Signal}
	}
	return byURL{rule.StartGrace, p.ended, func(ctx context.Context) error {
		a, err := rule.Reload.Reload(ctx)
		if a.Code != 0 {
			log.Debug("answer of the URL", "status", a.Code, "answer", a.Line)
		}
		return err
	}}
}
