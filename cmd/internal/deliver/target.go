package deliver

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/memory"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
)

// readBy is how much later than a change a process must have started to be sure to
// have read it: start times are known to 10 ms only.
const readBy = 20 * time.Millisecond

// A targetState is a target and what it was notified of.
type targetState struct {
	verify.Target
	found   time.Time
	begun   time.Time // when it started, by the wall clock
	applied [32]byte  // the digest it runs, as far as is known
	unknown bool      // a call has failed, so that it may run anything

	heldBy   [32]byte  // the last digest that it was kept from, by HOLD
	sent     time.Time // its last signal
	due      time.Time // when it has waited its share of SPLAY; zero: nothing is pending
	reading  time.Time // until when it may be reading what it was given, or was started with
	doubtful bool      // the files changed meanwhile, so that applied may not be what it has read
	repeats  int       // signals in a row for that reason alone
	failing  retrying

	started bool          // it runs what is applied if it does not end in its first seconds
	refusal verify.Result // that people are to know of if it lasts; zero: there is none
}

// pid is for the log, which leaves it out where nothing is known of a process.
func (t *targetState) pid() slog.Attr {
	if t.PID == 0 {
		return slog.Attr{}
	}
	return slog.Int("pid", t.PID)
}

// adopt has what was found for targets, lets go of all others, and returns those that
// are new.
func (l *Loop) adopt(found []*signal.Target) (news []*targetState) {
	known := l.targets
	l.targets = nil
	for _, target := range found {
		i := slices.IndexFunc(known, func(t *targetState) bool { return t.Target.Target == target })
		if i >= 0 {
			l.targets = append(l.targets, known[i])
			continue
		}
		t := &targetState{Target: verify.Target{Target: target}, found: time.Now(), begun: time.Now().Add(-target.Age())}
		l.targets, news = append(l.targets, t), append(news, t)
		if target.PID != 0 {
			l.log.Info("process found", "pid", target.PID)
		}
	}
	for _, t := range known {
		if !slices.Contains(l.targets, t) {
			l.letGo(t)
		}
	}
	if len(known) == 0 && len(news) > 0 {
		memory.DropStartupPages()
	}
	return news
}

// newest is when the newest of the targets was found; zero: there is none.
func (l *Loop) newest() (newest time.Time) {
	for _, t := range l.targets {
		if t.found.After(newest) {
			newest = t.found
		}
	}
	return newest
}

// dropEnded lets go of the targets that have ended, and has their successors looked for.
func (l *Loop) dropEnded() {
	l.targets = slices.DeleteFunc(l.targets, func(t *targetState) bool {
		if t.PID == 0 || !l.env.procs.ended(t.Target.Target) {
			return false
		}
		l.letGo(t)
		l.search.next = time.Now()
		return true
	})
}

// checkUnwatched looks once a second whether targets have ended that have no pidfd, and
// returns when to look again; zero: all have one.
func (l *Loop) checkUnwatched() time.Time {
	unwatched := func(t *targetState) bool { return t.PID != 0 && !l.env.procs.watched(t.Target.Target) }
	if !slices.ContainsFunc(l.targets, unwatched) {
		return time.Time{}
	}
	if now := time.Now(); !now.Before(l.search.recheck) {
		l.search.recheck = now.Add(time.Second)
		l.dropEnded()
		l.verify.Wake()
	}
	return l.search.recheck
}

// letGo tells that a target has ended, or has become another program. What it has rejected
// its successor may have to start with.
func (l *Loop) letGo(t *targetState) {
	if t.PID != 0 {
		l.log.Info("process ended", "pid", t.PID)
	}
	if !t.Rejected.None() {
		l.sync.rejected = t.Rejected
	}
}

// readAtStart tells whether a target started so late that it has read what is desired.
func (l *Loop) readAtStart(t *targetState) bool {
	if t.Started < l.desired.Changed+readBy {
		return false
	}
	l.log.LogAttrs(context.Background(), slog.LevelDebug, "no reload needed: the process started after the change", t.pid(), l.digestAttr())
	t.applied, l.sync.reached = l.desired.Digest, l.desired.Digest
	t.reading = t.begun.Add(l.readWithin())
	t.started = true
	return true
}

// prove takes it that targets run what they were started with when they have reached the age
// at which a signal may be sent to them: one whose configuration is broken has ended by then.
// It returns when to look again; zero: never.
func (l *Loop) prove() (next time.Time) {
	for _, t := range l.targets {
		if !t.started {
			continue
		}
		if at := t.begun.Add(l.rule.StartGrace); time.Now().Before(at) {
			next = earlier(next, at)
			continue
		}
		t.started = false
		t.Runs(short(t.applied))
	}
	return next
}
