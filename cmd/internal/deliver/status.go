package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
)

// Status is what podsignal knows and does at one moment: the page /status, and all
// that the other pages say. It is a copy, made by the loop when asked.
type Status struct {
	Rule      string         `json:"rule,omitempty"`
	Files     []string       `json:"file"`
	Process   string         `json:"process,omitempty"`
	Signal    string         `json:"signal,omitempty"`
	URL       string         `json:"url,omitempty"` // that is called instead
	DryRun    bool           `json:"dry_run,omitempty"`
	Mode      string         `json:"mode"` // inotify or poll
	Digest    string         `json:"digest,omitempty"`
	Changed   Moment         `json:"changed,omitzero"`
	OutOfSync Moment         `json:"out_of_sync_since,omitzero"`
	Pending   string         `json:"pending,omitempty"` // why nothing reaches any target
	Failing   Moment         `json:"failing_since,omitzero"`
	Stale     string         `json:"stale,omitempty"` // why the files may be older than what is on the host
	StaleAt   Moment         `json:"stale_since,omitzero"`
	Targets   []TargetStatus `json:"targets"`
	Figures   Figures        `json:"-"`
}

// Figures are what only the metrics show.
type Figures struct {
	At          time.Time // of this status
	Overdue     time.Time // since when it is out of sync, but for what waits for SPLAY; zero: it is not
	Counts      Counts
	WatchErrors uint64
}

// TargetStatus is what is known of one target.
type TargetStatus struct {
	PID       int            `json:"pid,omitempty"` // unknown of a URL alone
	UID       *int           `json:"uid,omitempty"` // what podsignal check finds; unknown if it has just ended
	Started   Moment         `json:"started,omitzero"`
	Applied   string         `json:"applied,omitempty"`
	Signalled Moment         `json:"signalled,omitzero"`
	Outcome   verify.Outcome `json:"outcome,omitempty"` // of that signal
	Pending   string         `json:"pending,omitempty"` // why it was not notified of the digest
	Failing   Moment         `json:"failing_since,omitzero"`
}

// Moment is a time that is shown in UTC and to the millisecond.
type Moment struct{ time.Time }

// MarshalJSON is RFC 3339.
func (m Moment) MarshalJSON() ([]byte, error) {
	return m.UTC().Truncate(time.Millisecond).MarshalJSON()
}

// answerWithin is how long the loop may take to answer. It is busy for some milliseconds
// at most, unless it is stuck.
const answerWithin = 3 * time.Second

// syncState is how far what the files show has come.
type syncState struct {
	reached        [32]byte  // the last digest that a target is known to run
	outOfSyncSince time.Time // since when what the files show has not reached the targets; zero: it has
	overdueSince   time.Time // the same, but for what waits for SPLAY
	staleSince     time.Time // since when a mount that the files lie on is stale, which blocks nothing; zero: none is
	notified       [32]byte  // what was posted as undelivered
}

// compare notes since when what the files show has not reached all targets, and
// since when that is not only because they wait for SPLAY.
func (l *Loop) compare() {
	now := time.Now()
	overdue := l.desired.Err != nil || len(l.targets) == 0 && l.sync.reached != l.desired.Digest
	outOfSync := overdue
	for _, t := range l.targets {
		if !l.runs(t) {
			outOfSync = true
			overdue = overdue || !now.Before(t.due)
		}
	}
	l.sync.staleSince = since(l.sync.staleSince, l.desired.Stale != nil)
	l.sync.outOfSyncSince = since(l.sync.outOfSyncSince, outOfSync)
	l.sync.overdueSince = since(l.sync.overdueSince, overdue)
}

// since is when something came to be that is so now; zero: it is not.
func since(begun time.Time, is bool) time.Time {
	switch {
	case !is:
		return time.Time{}
	case begun.IsZero():
		return time.Now()
	default:
		return begun
	}
}

// Status asks the loop for its status. That it answers shows that it turns.
func (l *Loop) Status(ctx context.Context) (*Status, error) {
	answer := make(chan *Status, 1)
	select {
	case l.asked <- answer:
		return <-answer, nil
	case <-ctx.Done():
		return nil, config.InRule(l.rule.Name, errors.New("podsignal is ending"))
	case <-time.After(answerWithin):
		return nil, config.InRule(l.rule.Name, fmt.Errorf("the delivery loop is stuck: it has not answered for %v", answerWithin))
	}
}

func (l *Loop) status() *Status {
	s := &Status{
		Rule:      l.rule.Name,
		Files:     l.rule.Files.Paths,
		Process:   l.rule.Process,
		DryRun:    l.rule.DryRun,
		Mode:      l.env.files.mode(),
		Digest:    shortOf(l.desired.Digest),
		Changed:   Moment{l.desired.changed},
		OutOfSync: Moment{l.sync.outOfSyncSince},
		Targets:   make([]TargetStatus, 0, len(l.targets)),
		Figures:   Figures{At: time.Now(), Overdue: l.sync.overdueSince, Counts: l.counts, WatchErrors: l.env.files.errors()},
	}
	s.Figures.Counts.Outcomes = maps.Clone(l.counts.Outcomes)
	if l.rule.Reload != nil {
		s.URL = l.rule.Reload.Shown()
	} else {
		s.Signal = signal.Name(l.rule.Signal)
	}
	for _, all := range []failure{l.desired.filesFailure.failure, l.search.noTarget.failure} {
		if !all.began.IsZero() {
			s.Pending, s.Failing = all.err.Error(), Moment{all.began}
			break
		}
	}
	if l.desired.Stale != nil {
		s.Stale, s.StaleAt = l.desired.Stale.Error(), Moment{l.sync.staleSince}
	}
	for _, t := range l.targets {
		s.Targets = append(s.Targets, l.targetStatus(t))
	}
	return s
}

func (l *Loop) targetStatus(t *targetState) TargetStatus {
	s := TargetStatus{PID: t.PID, Outcome: t.Outcome, Applied: shortOf(t.applied)}
	if t.PID != 0 {
		s.Started = Moment{t.begun}
	}
	if !l.rule.DryRun {
		s.Signalled = Moment{t.sent}
	}
	switch {
	case l.runs(t):
	case l.calls(t):
		s.Pending = "the URL has been called, and has not answered yet"
	case !t.failing.began.IsZero():
		s.Pending, s.Failing = t.failing.err.Error(), Moment{t.failing.began}
	case l.desired.Err != nil:
		s.Pending = "the files cannot be read"
	case time.Now().Before(t.due):
		s.Pending = fmt.Sprintf("waits until %s, its share of SPLAY=%v", t.due.UTC().Format(time.RFC3339), l.rule.Splay.Within)
	default:
		s.Pending = fmt.Sprintf("MIN_INTERVAL=%v since the last reload is not over", l.rule.MinInterval)
	}
	return s
}

// Ready is an error if podsignal is not watching, or a delivery has been failing, or a
// mount been stale, for so long that somebody should know.
func (s *Status) Ready() error {
	if s.Digest == "" {
		return config.InRule(s.Rule, errors.New(cmp.Or(s.Pending, "the first scan of the files is not finished")))
	}
	failing := slices.Concat([]TargetStatus{{Pending: s.Pending, Failing: s.Failing}, {Pending: s.Stale, Failing: s.StaleAt}}, s.Targets)
	var errs []error
	for _, f := range failing {
		if !f.Failing.IsZero() && s.Figures.At.Sub(f.Failing.Time) > patience {
			errs = append(errs, fmt.Errorf("since %s: %s", f.Failing.UTC().Format(time.RFC3339), f.Pending))
		}
	}
	return config.InRule(s.Rule, errors.Join(errs...))
}
