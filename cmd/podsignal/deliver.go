package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// readBy is how much later than a change a process must have started to be sure to
// have read it: start times are known to 10 ms only.
const readBy = 20 * time.Millisecond

// A delivery brings every target to what the files show. Whatever happens only
// makes it look: a target gets a signal when what it has been told last, or has
// read when it started, is not what the files show now.
type delivery struct {
	rule  rule
	log   *slog.Logger
	noun  string // what a change leads to: signal or call
	find  func(context.Context) ([]*signal.Target, error)
	send  func(t *signal.Target, before func()) error
	ready func(*signal.Target) error

	call    func(context.Context) error // the URL; nil: signals are sent
	answers chan attempt                // of the calls
	calling *told                       // whose answer is awaited; nil: none is

	notify    func(notice) // never blocks; nil: it is off
	notifyAll bool         // of what has succeeded too

	watcher  *watcher.Watcher
	settling func() bool     // the files are changing just now
	begun    <-chan struct{} // they begin to
	children func(*signal.Target) (map[int]bool, error)
	ended    func(*signal.Target) bool
	opens    func() (*watcher.Opens, error)
	asked    chan chan<- *status // for the state, by LISTEN's pages; nil: it is off

	desired watcher.Snapshot
	changed time.Time // when its digest came to be; zero: there is none yet
	targets []*told
	search  time.Time // when to look for targets
	missing trouble   // that there is no target
	lost    trouble   // that targets end before they are signalled
	held    trouble   // that the files are gone or unreadable
	reached [32]byte  // the last digest that a target is known to run
	behind  time.Time // since when what the files show has not reached the targets; zero: it has
	late    time.Time // the same, but for what waits for SPLAY
	noticed [32]byte  // what has been told by notify to be undelivered
	counts  counts

	verifications []*verification
	watching      *watcher.Opens // for all of these; nil: there are none, or it cannot be had
}

// told is a target and what it has been told.
type told struct {
	*signal.Target
	found    time.Time
	begun    time.Time // when it started, by the wall clock
	applied  [32]byte  // the digest it runs, as far as is known
	sent     time.Time // its last signal
	due      time.Time // when it has waited its share of SPLAY; zero: nothing is pending
	failing  trouble
	outcome  outcome // of its last signal; empty: none yet
	replaced bool    // a signal has replaced its children once
}

// An attempt is a signal that was sent, or a call that was made, or failed.
type attempt struct {
	target *told
	shown  watcher.Snapshot // right before
	err    error
}

func newDelivery(r rule, w *watcher.Watcher, finder *signal.Finder, log *slog.Logger) *delivery {
	d := &delivery{rule: r, find: finder.Find, watcher: w, settling: w.Settling, begun: w.Begun(), opens: w.Opens}
	d.noun = "signal"
	d.children, d.ended = (*signal.Target).Children, (*signal.Target).Ended
	d.counts.outcomes = make(map[outcome]uint64)
	d.log = log.With("file", strings.Join(r.files, ","))
	if r.process != "" {
		d.log = d.log.With("process", r.process)
	}
	d.ready = func(t *signal.Target) error { return t.Ready(r.signal) }
	d.send = func(t *signal.Target, before func()) error {
		if r.dryRun {
			return d.ready(t)
		}
		return t.Send(r.signal, before)
	}
	if r.reload != nil {
		d.callInstead()
	}
	return d
}

// run delivers until ctx is done, and then returns nil.
func (d *delivery) run(ctx context.Context, snapshots <-chan watcher.Snapshot) error {
	timer := time.NewTimer(0)
	timer.Stop()
	defer d.stopOpens()
	for {
		whole := true
		select {
		case <-ctx.Done():
			return nil
		case s := <-snapshots:
			d.forgetOpens()
			d.desire(s)
		case <-d.begun:
			d.rehearse()
			continue
		case answer := <-d.asked:
			answer <- d.status()
			continue
		case a := <-d.answers:
			d.calling = nil
			d.attempted(a)
			whole = !d.settling()
		case <-timer.C:
			whole = !d.settling() // nothing may read half of a change; a snapshot follows
		}
		d.verify()
		var next time.Time
		if whole {
			next = d.pass(ctx)
			d.compare()
			next = earlier(next, d.overdue())
		}
		for _, v := range d.verifications {
			next = earlier(next, v.next)
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// rehearse looks whether a target is ready, for nothing but that this goes faster when
// the change is whole: 30 to 60 µs are saved where code and data have left the caches.
func (d *delivery) rehearse() {
	if len(d.targets) > 0 && d.call == nil {
		_ = d.ready(d.targets[0].Target) // what it says counts right before the signal
	}
}

// desire takes what the files show now. What was pending is replaced.
func (d *delivery) desire(s watcher.Snapshot) {
	if s.Digest != d.desired.Digest {
		if d.desired.Digest != ([32]byte{}) {
			d.counts.changes++
		}
		d.changed = time.Now().Add(-s.Age())
		d.missing.renew()
		d.lost.renew()
		for _, t := range d.targets {
			t.failing.renew()
		}
	} else {
		d.log.Debug("looked: no change", "digest", d.digest())
	}
	d.desired = s
	d.search = time.Now()
}

// pass does all that is due, and returns when something will be; zero: never.
func (d *delivery) pass(ctx context.Context) time.Time {
	if err := d.desired.Err; err != nil {
		return d.hold(err)
	}
	if d.held.said >= slog.LevelWarn {
		d.log.Info("files can be read again")
	}
	d.held = trouble{}

	// Known targets first: to find others takes much longer than a signal.
	d.deliver(ctx, slices.Clone(d.targets))
	if !d.search.IsZero() && !time.Now().Before(d.search) {
		d.deliver(ctx, d.refresh(ctx))
	}
	next := d.search
	if d.calling != nil {
		return next // an answer wakes the loop
	}
	for _, t := range d.targets {
		next = earlier(next, t.failing.next)
	}
	return next
}

// earlier is the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// hold keeps what is pending until the files are back.
func (d *delivery) hold(err error) time.Time {
	d.held.fails(err)
	warnAt := d.held.since
	if errors.Is(err, fs.ErrNotExist) {
		warnAt = warnAt.Add(patience)
	}
	if time.Now().Before(warnAt) {
		return warnAt
	}
	if d.held.worse(slog.LevelWarn) {
		d.log.Warn("files cannot be read, no signal is sent until they can: mount or restore them", "tries", d.held.tries, "err", err)
	}
	return d.held.again
}

// refresh looks for targets and returns those that are new.
func (d *delivery) refresh(ctx context.Context) []*told {
	found, err := d.find(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		level := slog.LevelInfo
		switch {
		case d.missing.lasts() || !errors.Is(err, signal.ErrNoTarget):
			level = slog.LevelWarn
		case d.restarting():
			level = slog.LevelDebug
		}
		if d.missing.worse(level) {
			d.log.Log(ctx, level, "no process to signal, looking for it", "tries", d.missing.tries, "err", err)
		}
		d.search = d.missing.retry(retryFind, err)
		if !errors.Is(err, signal.ErrNoTarget) {
			return nil
		}
	} else {
		d.missing, d.search = trouble{}, time.Time{}
	}

	known := d.targets
	d.targets = nil
	var news []*told
	for _, target := range found {
		i := slices.IndexFunc(known, func(t *told) bool { return t.Target == target })
		if i >= 0 {
			d.targets = append(d.targets, known[i])
			continue
		}
		t := &told{Target: target, found: time.Now(), begun: time.Now().Add(-target.Age())}
		d.targets, news = append(d.targets, t), append(news, t)
		if target.PID != 0 {
			d.log.Info("process found", "pid", target.PID)
		}
	}
	if len(known) == 0 && len(news) > 0 {
		forgetStart()
	}
	return news
}

// deliver signals those of the targets that need it and may get it now.
func (d *delivery) deliver(ctx context.Context, targets []*told) {
	for _, t := range targets {
		if d.calling != nil {
			return // one at a time; its answer is followed by a look
		}
		if t.applied == d.desired.Digest {
			if !t.due.IsZero() {
				d.say(slog.LevelDebug, "no %s: the files are back to what it runs", t.pid(), "digest", d.digest())
			}
			t.failing, t.due = trouble{}, time.Time{}
			continue
		}
		if t.Started >= d.desired.Changed+readBy {
			d.say(slog.LevelDebug, "no %s: it started after the change", t.pid(), "digest", d.digest())
			t.applied, d.reached = d.desired.Digest, d.desired.Digest
			continue
		}
		if t.due.IsZero() {
			d.splay(t)
		}
		for _, due := range []time.Time{t.due, t.sent.Add(d.rule.minInterval)} {
			if t.failing.next.Before(due) {
				t.failing.next = due
			}
		}
		if time.Now().Before(t.failing.next) {
			continue
		}
		if d.call != nil {
			d.request(ctx, t)
			continue
		}
		d.signal(t)
	}
}

// splay begins the wait for SPLAY. Newer content does not begin it anew: changes that
// keep coming would put off the signal for ever.
func (d *delivery) splay(t *told) {
	t.due = time.Now().Add(d.rule.share)
	if d.rule.splay > 0 {
		d.say(slog.LevelInfo, "%s waits for its share of SPLAY", "digest", d.digest(), t.pid(), "splay", d.rule.splay, "until", t.due)
	}
}

func (d *delivery) signal(t *told) {
	var v *verification
	err := d.send(t.Target, func() { v = d.prepare(t) })
	d.begin(v, err)
	d.attempted(attempt{t, d.desired, err})
}

// say logs what is said alike of signals and of calls: %s is which of them it is.
func (d *delivery) say(level slog.Level, format string, args ...any) {
	d.log.Log(context.Background(), level, fmt.Sprintf(format, d.noun), args...) //nolint:sloglint // one of two constants
}

// pid is for the log, which leaves it out where nothing is known of a process.
func (t *told) pid() slog.Attr {
	if t.PID == 0 {
		return slog.Attr{}
	}
	return slog.Int("pid", t.PID)
}

// attempted takes what has become of an attempt.
func (d *delivery) attempted(a attempt) {
	t := a.target
	var unready *signal.NotReadyError
	switch {
	case a.err == nil:
		before := t.applied
		t.applied, d.reached, t.sent = a.shown.Digest, a.shown.Digest, time.Now()
		t.failing, t.due, d.lost = trouble{}, time.Time{}, trouble{}
		after := a.shown.Age()
		log := d.log.With(slog.String("digest", short(a.shown.Digest)), t.pid(), d.rule.action(), slog.Duration("after", after))
		switch {
		case d.rule.dryRun && d.call != nil:
			log.Info("would call")
			return
		case d.rule.dryRun:
			log.Info("would signal")
			return
		case d.call != nil:
			log.Info("called")
		default:
			log.Info("signalled")
		}
		d.counts.sent(after)
		d.arrived(t, before)
	case errors.Is(a.err, signal.ErrGone):
		// Its successor has read what is there, or is told.
		d.targets = slices.DeleteFunc(d.targets, func(known *told) bool { return known == t })
		d.search = d.lost.retry(retryReady, a.err)
	case errors.As(a.err, &unready):
		d.counts.heldBack++
		level := slog.LevelDebug
		if t.failing.lasts() {
			level = slog.LevelWarn
		}
		if t.failing.worse(level) {
			d.say(level, "%s held back", t.pid(), "tries", t.failing.tries, "err", a.err)
		}
		t.failing.retry(retryReady, a.err)
		if unready.Retry > 0 {
			t.failing.next = time.Now().Add(unready.Retry)
		}
	default:
		d.counts.failed++
		level := slog.LevelInfo
		if t.failing.lasts() || errors.Is(a.err, unix.EPERM) || refused(a.err) {
			level = slog.LevelWarn
		}
		if t.failing.worse(level) {
			d.say(level, "%s failed, trying again", t.pid(), "tries", t.failing.tries, "err", a.err)
		}
		t.failing.retry(retrySend, a.err)
		if a.shown.Digest != d.desired.Digest {
			t.failing.renew() // of what the files show now nothing has failed
		}
		if d.call != nil {
			// Without an answer it may have loaded the files all the same, and it may say
			// for ever that it has refused, if it is not called again.
			t.applied = [32]byte{}
		}
	}
}

func (d *delivery) digest() string { return short(d.desired.Digest) }

// short is a digest as it is shown: enough to tell any two of a file's life apart.
func short(digest [32]byte) string { return hex.EncodeToString(digest[:6]) }

// shortOf is empty for no digest.
func shortOf(digest [32]byte) string {
	if digest == ([32]byte{}) {
		return ""
	}
	return short(digest)
}
