package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/podsignal/podsignal/signal"
)

// callInstead has a URL called instead of a signal sent. With PROCESS set, that is
// done for one process of the name: the oldest, so that a change counts as read only
// when all of them have started after it. Without, nothing is known of who answers.
func (d *delivery) callInstead() {
	d.noun = "call"
	d.answers = make(chan attempt)
	client := newReloader(*d.rule.reload)
	d.call = func(ctx context.Context) error {
		_, err := client.reload(ctx)
		return err
	}
	whoever := []*signal.Target{{Name: shownURL(d.rule.reload.url)}}
	one := func(find func(context.Context) ([]*signal.Target, error)) func(context.Context) ([]*signal.Target, error) {
		return func(ctx context.Context) ([]*signal.Target, error) {
			if d.rule.process == "" {
				return whoever, nil
			}
			targets, err := find(ctx)
			return targets[:min(1, len(targets))], err
		}
	}
	d.find, d.again = one(d.find), one(d.again)
}

// request calls the URL in the background: an answer may take long, and podsignal has
// to be able to end, and to tell how it is. One call is under way at a time.
func (d *delivery) request(ctx context.Context, t *told) {
	a := attempt{target: t, shown: d.desired}
	switch age := t.Age(); {
	case t.PID != 0 && d.ended(t.Target):
		a.err = signal.ErrGone
	case t.PID != 0 && age < d.rule.startGrace:
		a.err = &signal.NotReadyError{
			Why:   fmt.Sprintf("%s (pid %d) has only just started", t.Name, t.PID),
			Retry: d.rule.startGrace - age,
		}
	case !d.rule.dryRun:
		d.calling, t.doubtful = t, false // what changes from here on it may have read
		go func() {
			a.err = d.call(ctx)
			select {
			case d.answers <- a:
			case <-ctx.Done():
			}
		}()
		return
	}
	d.attempted(a)
}

// refused tells whether a program has answered a call, and said no.
func refused(err error) bool {
	_, ok := errors.AsType[*statusError](err)
	return ok
}
