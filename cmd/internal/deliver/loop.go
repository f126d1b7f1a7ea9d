// Package deliver brings every target to what the files show.
//
// Whatever happens only makes the loop look: a target is notified when what it was
// notified of last, or has read when it started, is not what the files show now.
package deliver

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/hold"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/validate"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// A Loop delivers one rule's changes. All of its state belongs to the goroutine of Run;
// others ask by Status.
type Loop struct {
	rule   config.Rule
	log    *slog.Logger
	env    environment
	verify *verify.Set
	asked  chan chan<- *Status

	desired    desired
	holding    holding
	validation validation
	targets    []*targetState
	search     search
	calling    *call // whose answer is awaited; nil: none is
	sync       syncState
	counts     Counts
	started    time.Time
	hinted     bool // whether the program reads the files is known, or was asked
	published  published
}

// environment is all that the loop asks of the world outside, and does to it.
type environment struct {
	files  files
	procs  processes
	way    way
	notify func(notify.Notification) // never blocks; nil: it is off

	approvals chan hold.Approvals // what HOLD's file says

	validate func(context.Context) error         // runs the command of VALIDATE
	publish  func(status *Status, due time.Time) // has others see the status until it is due again; nil: nobody does
}

// files are what tells of the files.
type files struct {
	settling func() bool     // they are changing just now
	begun    <-chan struct{} // they begin to
	mode     func() string
	errors   func() uint64
	opens    func() (*watcher.Opens, error)
}

// desired is what the files show.
type desired struct {
	watcher.Snapshot
	changed time.Time    // when its digest came to be; zero: there is none yet
	paths   []PathStatus // of the digest
	forced  bool         // it was taken though the files have not stopped changing

	filesFailure retrying // that the files are gone or unreadable
}

// Outside is whom a loop tells of what it does. Neither function may block; nil: nobody is told.
type Outside struct {
	Notify  func(notify.Notification)
	Publish func(status *Status, due time.Time) // until due there is another, unless the loop is stuck; zero: unknown
}

// New is a loop for a rule.
func New(rule config.Rule, w *watcher.Watcher, finder *signal.Finder, outside Outside, log *slog.Logger) *Loop {
	log = log.With("file", strings.Join(rule.Files.Paths, ","))
	if rule.Process != "" {
		log = log.With("process", rule.Process)
	}
	procs := processesOf(rule, finder)
	return &Loop{
		rule: rule,
		log:  log,
		env: environment{
			files:  files{settling: w.Settling, begun: w.Begun(), mode: w.Mode, errors: w.Errors, opens: w.Opens},
			procs:  procs,
			way:    wayOf(rule, procs, log),
			notify: outside.Notify,

			approvals: make(chan hold.Approvals),

			publish:  outside.Publish,
			validate: func(ctx context.Context) error { return validate.Run(ctx, rule.Validate) },
		},
		asked:  make(chan chan<- *Status),
		counts: Counts{Outcomes: make(map[verify.Outcome]uint64)},
	}
}

// Approvals takes what the file of HOLD says. Without HOLD nothing has to be sent.
func (l *Loop) Approvals() chan<- hold.Approvals { return l.env.approvals }

// Run delivers until ctx is done, and then returns nil.
func (l *Loop) Run(ctx context.Context, snapshots <-chan watcher.Snapshot) error {
	l.started = time.Now()
	l.checkApproval()
	l.verify = verify.New(verifyOptions(l.rule, l.env.procs, l.env.files))
	defer l.verify.Close()
	defer l.endValidation()
	timer := time.NewTimer(0)
	timer.Stop()
	for {
		l.desired.forced = false
		select {
		case <-ctx.Done():
			return nil
		case s := <-snapshots:
			l.verify.Renew()
			l.desire(s)
			l.desired.forced = s.Unsettled
		case <-l.env.files.begun:
			l.warmUp()
			continue
		case answer := <-l.asked:
			answer <- l.status()
			continue
		case err := <-l.answer():
			l.answered(err)
		case a := <-l.env.approvals:
			l.approve(a)
		case err := <-l.validity():
			l.valid(err)
		case <-l.env.procs.exits:
			l.dropEnded()
			l.verify.Wake()
		case <-timer.C:
		}
		next := l.checkUnwatched()
		l.checkEffects()
		if l.whole() { // else a snapshot follows
			next = earlier(next, l.pass(ctx))
			next = earlier(next, l.prove())
			l.compare()
			next = earlier(next, l.overdue())
			next = earlier(next, l.refusals())
			l.resolve()
		}
		next = earlier(next, l.verify.Next())
		l.publish(next)
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// whole tells whether nothing is changing just now: no program may be made to read half
// of a change. It is asked right before each signal and each call.
func (l *Loop) whole() bool { return l.desired.forced || !l.env.files.settling() }

// warmUp looks whether a target is ready, for nothing but that this goes faster when
// the change is whole: 30 to 60 µs are saved where code and data have left the caches. When it
// is whole already, a snapshot is on its way.
func (l *Loop) warmUp() {
	if len(l.targets) > 0 && l.env.files.settling() {
		_ = l.env.way.ready(l.targets[0].Target.Target) // what it says counts right before the signal
	}
}

// desire takes what the files show now. What was pending is replaced.
func (l *Loop) desire(s watcher.Snapshot) {
	if !s.Stirred.IsZero() {
		l.doubt(s)
	}
	if run := l.validation.running; run != nil && (s.Digest != l.desired.Digest || s.Stirred.After(run.began)) {
		run.stop()
	}
	changed := s.Digest != l.desired.Digest
	if changed {
		if l.desired.Digest != ([32]byte{}) {
			l.counts.Changes++
		}
		l.desired.changed = time.Now().Add(-s.Age())
		l.desired.paths = PathsOf(l.rule.Files.Paths, s.Paths)
		l.search.renew(&l.env.procs)
		for _, t := range l.targets {
			t.failing.renew()
		}
		l.validation.failing = retrying{}
	} else {
		l.log.Debug("files unchanged", "digest", l.digest())
	}
	l.desired.Snapshot = s
	l.checkApproval()
	if !changed || len(l.targets) == 0 {
		l.search.next = time.Now()
	}
}

// doubt notes the targets that may have read something else than they were given: the
// files were seen to change while they may have been reading. One that was only just
// started counts if there really was something else.
func (l *Loop) doubt(s watcher.Snapshot) {
	for _, t := range l.targets {
		started := t.sent.IsZero() && t.applied == s.Digest
		if !l.calls(t) && (started || s.Stirred.After(t.reading)) {
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
		l.log.Warn("files change and change back after each reload, not reloading again: if the program writes there itself, leave that out with EXCLUDE", t.pid())
	}
}

// pass does all that is due, and returns when something will be; zero: never.
func (l *Loop) pass(ctx context.Context) time.Time {
	if err := l.desired.Err; err != nil {
		return l.suspend(err)
	}
	if l.desired.filesFailure.level >= slog.LevelWarn {
		l.log.Info("watched files readable again")
	}
	l.desired.filesFailure = retrying{}

	l.validateChange(ctx)
	if l.validation.running != nil {
		return time.Time{}
	}
	// Known targets first: to find others takes much longer than a signal.
	l.deliver(ctx, slices.Clone(l.targets))
	next := earlier(l.discover(ctx), l.validateAt())
	if l.calling != nil {
		return next // an answer wakes the loop
	}
	for _, t := range l.targets {
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

// suspend keeps what is pending until the files are back.
func (l *Loop) suspend(err error) time.Time {
	f := &l.desired.filesFailure
	f.fails(err)
	warnAt := f.since
	if errors.Is(err, fs.ErrNotExist) {
		warnAt = warnAt.Add(patience)
	}
	if time.Now().Before(warnAt) {
		return warnAt
	}
	if f.allow(slog.LevelWarn) {
		l.log.Warn("watched files unreadable; signals suspended: mount or restore them", "tries", f.tries, "err", err)
	}
	return f.again
}
