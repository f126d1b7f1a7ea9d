package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/reload"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// readyWithin is how long a target may take to be ready for a signal that somebody waits for,
// besides START_GRACE.
const readyWithin = 5 * time.Second

// Sent is what has become of one notification.
type Sent struct {
	To      string         // the target
	Outcome verify.Outcome // of what was sent; empty: it is not watched
	Err     error          // why nothing was sent, or why that was of no use
}

// Once notifies a rule's targets now, each once, whether or not anything has changed, and watches
// what becomes of it for VERIFY. With DRY_RUN nothing is sent. Of those that are found, only the
// ones of these pids are notified; none: all are. The error says why there is nobody to notify.
func Once(ctx context.Context, rule config.Rule, w *watcher.Watcher, pids []int, log *slog.Logger) (all []Sent, err error) {
	procs := processesOf(rule, signal.NewFinder(rule.FinderOptions(log)))
	targets, err := procs.find(ctx)
	if err != nil {
		return nil, err
	}
	if known := onlyPIDs(targets, pids); len(known) > 0 {
		targets = known
	}
	o := once{rule: rule, procs: procs, way: wayOf(rule, procs, log), targets: targets}
	// Only what opens them is of interest, not what they contain.
	o.verify = verify.New(verifyOptions(rule, procs, files{opens: w.Opens, settling: func() bool { return false }}))
	defer o.verify.Close()
	for _, target := range targets {
		o.sent = append(o.sent, o.send(ctx, &verify.Target{Target: target}))
	}
	o.watch(ctx)
	return o.sent, ctx.Err()
}

func onlyPIDs(targets []*signal.Target, pids []int) (known []*signal.Target) {
	for _, t := range targets {
		if slices.Contains(pids, t.PID) {
			known = append(known, t)
		}
	}
	return known
}

// once is one call of Once.
type once struct {
	rule    config.Rule
	procs   processes
	way     way
	verify  *verify.Set
	targets []*signal.Target
	sent    []Sent
	watched []*verify.Target // of what was sent, where its effect is watched; else nil
	ended   bool             // a target has
	newest  time.Time        // when a successor of one was found; zero: none was
}

// send notifies one target when it is ready.
func (o *once) send(ctx context.Context, target *verify.Target) Sent {
	result := Sent{To: o.name(target.Target)}
	o.watched = append(o.watched, nil)
	if result.Err = o.awaitReady(ctx, target.Target); result.Err != nil || o.rule.DryRun {
		return result
	}
	prepared := o.verify.Prepare(target, "", "")
	answer, err := o.way.tell(ctx, target.Target)
	if answer != nil {
		err = <-answer // its time is limited
		status, _ := errors.AsType[*reload.StatusError](err)
		switch {
		case err == nil:
			result.Outcome = verify.Accepted
		case status != nil && status.Refused():
			result.Outcome = verify.Refused
		}
	}
	result.Err = err
	if err == nil && prepared != nil {
		o.verify.Sent(prepared, o.newest)
		o.watched[len(o.watched)-1] = target
	}
	return result
}

func (o *once) name(target *signal.Target) string {
	if target.PID == 0 {
		return o.rule.Reload.Shown()
	}
	return fmt.Sprintf("%s (pid %d)", cmp.Or(target.Name, o.rule.Process), target.PID)
}

// awaitReady waits until a target is ready, and returns why it is not when that takes too long.
func (o *once) awaitReady(ctx context.Context, target *signal.Target) error {
	var wait backoff
	for deadline := time.Now().Add(readyWithin + o.rule.StartGrace); ; {
		err := o.way.ready(target)
		unready, _ := errors.AsType[*signal.NotReadyError](err)
		if unready == nil {
			return err
		}
		wait.retry(retryReady)
		if unready.Retry > 0 {
			wait.next = time.Now().Add(unready.Retry)
		}
		if wait.next.After(deadline) {
			return err
		}
		select {
		case <-time.After(time.Until(wait.next)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch takes what becomes of all that was sent.
func (o *once) watch(ctx context.Context) {
	for slices.ContainsFunc(o.watched, func(t *verify.Target) bool { return t != nil }) {
		select {
		case <-time.After(time.Until(o.verify.Next())):
		case <-o.procs.exits:
			o.verify.Wake()
		case <-ctx.Done():
			return
		}
		if o.ended && o.newest.IsZero() {
			o.findSuccessor(ctx)
		}
		results, ended := o.verify.Look(o.newest)
		o.ended = o.ended || ended
		for _, r := range results {
			i := slices.Index(o.watched, r.Target)
			o.watched[i] = nil
			o.sent[i].Outcome, o.sent[i].Err = r.Outcome, o.failure(r)
		}
	}
}

// failure is why a signal was of no use; nil: it was of use, as far as was seen.
func (o *once) failure(r verify.Result) error {
	if r.Outcome == verify.Died {
		return errors.New("the program died of it; see its log")
	}
	return missing(o.rule, r)
}

// findSuccessor looks for a target that has come since.
func (o *once) findSuccessor(ctx context.Context) {
	now, err := o.procs.find(ctx)
	if err == nil && slices.ContainsFunc(now, func(t *signal.Target) bool { return !slices.Contains(o.targets, t) }) {
		o.newest = time.Now()
	}
}
