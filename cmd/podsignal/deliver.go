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

const (
	// readBy is how much later than a change a process must have started to be sure to
	// have read it: start times are known to 10 ms only.
	readBy = 20 * time.Millisecond

	// readWithin is the least time that a program may take to read its files after a
	// signal, or after its start. Of 19 programs 15 opened them within 22 ms, and the
	// slowest within 1 s.
	readWithin = time.Second

	// maxRepeats is how often in a row the same content is delivered again because the
	// files changed and changed back meanwhile. A program that writes there itself when
	// it reloads would be signalled for ever.
	maxRepeats = 3

	// longSearch is how long a search may take until what was found is dealt with at
	// once. After a longer one the events that came meanwhile are taken first: a change
	// may be under way.
	longSearch = time.Millisecond
)

// newcomersAfter is when after a change to look for targets that were not there, or did
// not have their name yet: an entrypoint may have read the files before the change and
// run the program after it.
var newcomersAfter = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}

// A delivery brings every target to what the files show. Whatever happens only
// makes it look: a target gets a signal when what it has been told last, or has
// read when it started, is not what the files show now.
type delivery struct {
	rule  rule
	log   *slog.Logger
	noun  string // what a change leads to: signal or call
	find  func(context.Context) ([]*signal.Target, error)
	again func(context.Context) ([]*signal.Target, error) // find, soon after a change
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
	exits    <-chan struct{}           // a target has ended
	watched  func(*signal.Target) bool // exits tells of this one
	opens    func() (*watcher.Opens, error)
	asked    chan chan<- *status // for the state, by LISTEN's pages; nil: it is off

	desired watcher.Snapshot
	changed time.Time // when its digest came to be; zero: there is none yet
	forced  bool      // what is desired was taken though the files have not stopped changing
	targets []*told
	search  time.Time   // when to look for targets
	more    []time.Time // when to look for more of them, after a change
	recheck time.Time   // when to look whether those have ended of which exits does not tell
	missing trouble     // that there is no target
	lost    trouble     // that targets end before they are signalled
	held    trouble     // that the files are gone or unreadable
	stale   time.Time   // since when a mount that they lie on is stale, which holds up nothing; zero: none is
	reached [32]byte    // the last digest that a target is known to run
	behind  time.Time   // since when what the files show has not reached the targets; zero: it has
	late    time.Time   // the same, but for what waits for SPLAY
	noticed [32]byte    // what has been told by notify to be undelivered
	counts  counts
	started time.Time // this delivery

	verifications []*verification
	watching      *watcher.Opens // for all of these, since there are few instances on a node; nil: there are none, or it is unavailable
}

// told is a target and what it has been told.
type told struct {
	*signal.Target
	found    time.Time
	begun    time.Time // when it started, by the wall clock
	applied  [32]byte  // the digest it runs, as far as is known
	sent     time.Time // its last signal
	due      time.Time // when it has waited its share of SPLAY; zero: nothing is pending
	reading  time.Time // until when it may be reading what it was given, or was started with
	doubtful bool      // the files changed meanwhile, so that applied may not be what it has read
	repeats  int       // signals in a row for that reason alone
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
	d := &delivery{rule: r, find: finder.Find, again: finder.FindNew, watcher: w, settling: w.Settling, begun: w.Begun(), opens: w.Opens}
	d.noun = "signal"
	d.children, d.ended = (*signal.Target).Children, (*signal.Target).Ended
	d.exits, d.watched = finder.Ended(), (*signal.Target).Watched
	d.started = time.Now()
	d.counts.outcomes = make(map[outcome]uint64)
	d.log = log.With("file", strings.Join(r.files, ","))
	if r.process != "" {
		d.log = d.log.With("process", r.process)
	}
	d.ready = func(t *signal.Target) error { return t.Ready(r.signal) }
	d.send = func(t *signal.Target, before func()) error { return t.Send(r.signal, before) }
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
		d.forced = false
		select {
		case <-ctx.Done():
			return nil
		case s := <-snapshots:
			d.renewOpens()
			d.desire(s)
			d.forced = s.Unsettled
		case <-d.begun:
			d.rehearse()
			continue
		case answer := <-d.asked:
			answer <- d.status()
			continue
		case a := <-d.answers:
			a.target.reading = time.Now()
			d.calling = nil
			d.attempted(a)
		case <-d.exits:
			d.dropEnded()
		case <-timer.C:
		}
		next := d.checkUnwatched()
		d.verify()
		if d.whole() { // else a snapshot follows
			next = earlier(next, d.pass(ctx))
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

// whole tells whether nothing is changing just now: no program may be made to read half
// of a change. It is asked right before each signal and each call.
func (d *delivery) whole() bool { return d.forced || !d.settling() }

// rehearse looks whether a target is ready, for nothing but that this goes faster when
// the change is whole: 30 to 60 µs are saved where code and data have left the caches.
func (d *delivery) rehearse() {
	if len(d.targets) > 0 && d.call == nil {
		_ = d.ready(d.targets[0].Target) // what it says counts right before the signal
	}
}

// desire takes what the files show now. What was pending is replaced.
func (d *delivery) desire(s watcher.Snapshot) {
	if !s.Stirred.IsZero() {
		d.doubt(s)
	}
	if s.Digest != d.desired.Digest {
		if d.desired.Digest != ([32]byte{}) {
			d.counts.changes++
		}
		d.changed = time.Now().Add(-s.Age())
		d.more = nil
		for _, after := range newcomersAfter {
			d.more = append(d.more, time.Now().Add(after))
		}
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

// doubt notes the targets that may have read something else than they were given: the
// files were seen to change while they may have been reading. One that was only just
// started counts if there really was something else.
func (d *delivery) doubt(s watcher.Snapshot) {
	for _, t := range d.targets {
		started := t.sent.IsZero() && t.applied == s.Digest
		if t != d.calling && (started || s.Stirred.After(t.reading)) {
			continue
		}
		if t.repeats < maxRepeats {
			t.doubtful = true
			continue
		}
		if t.repeats > maxRepeats {
			continue // that has been said
		}
		t.repeats++
		d.say(slog.LevelWarn, "the files change and change back after each %s, so no other follows: if the program writes there itself, leave that out by EXCLUDE", t.pid())
	}
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
	next := d.discover(ctx)
	if d.calling != nil {
		return next // an answer wakes the loop
	}
	for _, t := range d.targets {
		next = earlier(next, t.failing.next)
	}
	return next
}

// discover looks for targets when it is time for that, and delivers to those that are
// new. It returns when to look again; zero: never.
func (d *delivery) discover(ctx context.Context) time.Time {
	began := time.Now()
	all := !d.search.IsZero() && !began.Before(d.search)
	more := len(d.more) > 0 && !began.Before(d.more[0])
	if more {
		d.more = d.more[1:]
	}
	var next time.Time
	if all || more && d.search.IsZero() { // else one is planned anyway
		find := d.again
		if all {
			find = d.find
		}
		news := d.refresh(ctx, find)
		news = slices.DeleteFunc(news, d.readAtStart)
		if took := time.Since(began); took < longSearch {
			d.deliver(ctx, news)
		} else if len(news) > 0 {
			next = time.Now().Add(longSearch)
		}
	}
	next = earlier(next, d.search)
	if len(d.more) > 0 {
		next = earlier(next, d.more[0])
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
func (d *delivery) refresh(ctx context.Context, find func(context.Context) ([]*signal.Target, error)) (news []*told) {
	found, err := find(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil || errors.Is(err, signal.ErrNoTarget) { // any other error says nothing about them
		news = d.adopt(found)
	}
	if err == nil {
		d.missing, d.search = trouble{}, time.Time{}
		return news
	}
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
	return news
}

// adopt has what was found for targets, lets go of all others, and returns those that
// are new.
func (d *delivery) adopt(found []*signal.Target) (news []*told) {
	known := d.targets
	d.targets = nil
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
	for _, t := range known {
		if !slices.Contains(d.targets, t) {
			d.logEnd(t)
		}
	}
	if len(known) == 0 && len(news) > 0 {
		forgetStart()
	}
	return news
}

// dropEnded lets go of the targets that have ended, and has their successors looked for.
func (d *delivery) dropEnded() {
	d.targets = slices.DeleteFunc(d.targets, func(t *told) bool {
		if t.PID == 0 || !d.ended(t.Target) {
			return false
		}
		d.logEnd(t)
		d.search = time.Now()
		for _, v := range d.verifications {
			if v.target == t {
				v.next = d.search
			}
		}
		return true
	})
}

// logEnd tells that a target has ended, or has become another program.
func (d *delivery) logEnd(t *told) {
	if t.PID != 0 {
		d.log.Info("process ended", "pid", t.PID)
	}
}

// checkUnwatched looks once a second whether targets have ended that have no pidfd, and
// returns when to look again; zero: all have one.
func (d *delivery) checkUnwatched() time.Time {
	unwatched := func(t *told) bool { return t.PID != 0 && !d.watched(t.Target) }
	if !slices.ContainsFunc(d.targets, unwatched) {
		return time.Time{}
	}
	if now := time.Now(); !now.Before(d.recheck) {
		d.recheck = now.Add(time.Second)
		d.dropEnded()
	}
	return d.recheck
}

// readAtStart tells whether a target started so late that it has read what is desired.
func (d *delivery) readAtStart(t *told) bool {
	if t.Started < d.desired.Changed+readBy {
		return false
	}
	d.say(slog.LevelDebug, "no %s: it started after the change", t.pid(), "digest", d.digest())
	t.applied, d.reached = d.desired.Digest, d.desired.Digest
	t.reading = t.begun.Add(d.readWithin())
	return true
}

// deliver signals those of the targets that need it and may get it now.
func (d *delivery) deliver(ctx context.Context, targets []*told) {
	for _, t := range targets {
		if d.calling != nil {
			return // one at a time; its answer is followed by a look
		}
		if d.runs(t) {
			if !t.due.IsZero() {
				d.say(slog.LevelDebug, "no %s: the files are back to what it runs", t.pid(), "digest", d.digest())
			}
			t.failing, t.due = trouble{}, time.Time{}
			continue
		}
		if !d.whole() {
			return // a snapshot follows
		}
		if t.due.IsZero() {
			if t.applied == ([32]byte{}) && t.Started >= d.desired.Changed {
				d.say(slog.LevelInfo, "the process started just after the files had changed, and may have read the old ones: a %s follows", t.pid(), "digest", d.digest())
			}
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

// runs tells whether a target runs what is desired, as far as is known.
func (d *delivery) runs(t *told) bool {
	return t.applied == d.desired.Digest && !t.doubtful && t != d.calling
}

// readWithin is how long a program may be reading what it was signalled for.
func (d *delivery) readWithin() time.Duration { return max(d.rule.minInterval, readWithin) }

// splay begins the wait for SPLAY. Newer content does not begin it anew: changes that
// keep coming would put off the signal for ever.
func (d *delivery) splay(t *told) {
	t.due = time.Now().Add(d.rule.share)
	if d.rule.splay > 0 {
		d.say(slog.LevelInfo, "%s waits for its share of SPLAY", "digest", d.digest(), t.pid(), "splay", d.rule.splay, "until", t.due)
	}
}

func (d *delivery) signal(t *told) {
	if d.rule.dryRun {
		d.attempted(attempt{t, d.desired, d.ready(t.Target)})
		return
	}
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
		before, why := t.applied, d.reason(a)
		t.repeats++
		if why != reasonRepeat {
			t.repeats = 0
		}
		t.applied, d.reached, t.sent = a.shown.Digest, a.shown.Digest, time.Now()
		t.failing, t.due, d.lost = trouble{}, time.Time{}, trouble{}
		if d.call == nil {
			t.doubtful, t.reading = false, t.sent.Add(d.readWithin())
		}
		after := a.shown.Age()
		log := d.log.With(slog.String("digest", short(a.shown.Digest)), t.pid(), d.rule.action(), slog.Duration("after", after), slog.String("reason", string(why)))
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
		d.counts.sent(after, why == reasonStartup || why == reasonNewcomer)
		d.arrived(t, before)
	case errors.Is(a.err, signal.ErrGone):
		// Its successor has read what is there, or is told.
		if i := slices.Index(d.targets, t); i >= 0 {
			d.targets = slices.Delete(d.targets, i, i+1)
			d.logEnd(t)
		}
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

// A reason is why a target was signalled, or a URL called.
type reason string

// The reasons.
const (
	reasonChange   reason = "change"
	reasonStartup  reason = "startup"  // for a change before podsignal's start
	reasonNewcomer reason = "newcomer" // the target was found after the change
	reasonRetry    reason = "retry"    // an attempt for this content has failed, or was held back
	reasonRepeat   reason = "repeat"   // the files changed and changed back while it may have been reading
)

// reason is that of an attempt that has succeeded.
func (d *delivery) reason(a attempt) reason {
	t, changed := a.target, time.Now().Add(-a.shown.Age())
	switch {
	case t.applied == a.shown.Digest:
		return reasonRepeat
	case changed.Before(d.started):
		return reasonStartup
	case t.found.After(changed):
		return reasonNewcomer
	case t.failing.tries > 0:
		return reasonRetry
	default:
		return reasonChange
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
