package deliver

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// Status is what podsignal knows and does at one moment: the page /status, and all
// that the other pages say. It is a copy, made by the loop when asked.
type Status struct {
	Rule      string         `json:"rule,omitempty"`
	Files     []string       `json:"file"`
	Exclude   []string       `json:"exclude,omitempty"`
	Process   string         `json:"process,omitempty"`
	Signal    string         `json:"signal,omitempty"`
	URL       string         `json:"url,omitempty"` // that is called instead
	DryRun    bool           `json:"dry_run,omitempty"`
	Mode      string         `json:"mode"` // inotify or poll
	OnDisk    *Digest        `json:"on_disk,omitempty"`
	Paths     []PathStatus   `json:"paths,omitempty"`
	Rejected  *Rejection     `json:"rejected,omitempty"` // by VALIDATE, or by a program that has died of it
	OutOfSync Moment         `json:"out_of_sync_since,omitzero"`
	Pending   string         `json:"pending,omitempty"` // why nothing reaches any target
	Failing   Moment         `json:"failing_since,omitzero"`
	Hold      string         `json:"hold,omitempty"`      // HOLD
	Held      Moment         `json:"held_since,omitzero"` // since when a target is kept from what is on disk by it
	Stale     string         `json:"stale,omitempty"`     // why the files may be older than what is on the host
	StaleAt   Moment         `json:"stale_since,omitzero"`
	Targets   []TargetStatus `json:"targets"`
	Figures   Figures        `json:"-"`
}

// PathStatus is what one path of FILE shows now.
type PathStatus struct {
	Path   string `json:"path"`
	Digest string `json:"digest,omitempty"` // in full; empty: nothing is there, or the page leaves it out
	Secret bool   `json:"secret,omitempty"` // it may show a Secret: watcher.PathDigest
	Local  bool   `json:"local,omitempty"`  // nobody outside of this pod can know what it shows

	Unapproved bool `json:"unapproved,omitempty"` // HOLD's file does not have the digest
}

// PathsOf are those of a snapshot of these paths.
func PathsOf(paths []string, digests []watcher.PathDigest) (all []PathStatus) {
	for i, d := range digests {
		p := PathStatus{Path: paths[i], Secret: d.Secret, Local: d.Local}
		if d.Digest != ([32]byte{}) {
			p.Digest = hex.EncodeToString(d.Digest[:])
		}
		all = append(all, p)
	}
	return all
}

// WithoutSecrets is the status for whoever may not guess what a Secret contains.
func (s *Status) WithoutSecrets() *Status {
	public := *s
	public.Paths = slices.Clone(s.Paths)
	for i := range public.Paths {
		if public.Paths[i].Secret {
			public.Paths[i].Digest = ""
		}
	}
	return &public
}

// Figures are what only the metrics show.
type Figures struct {
	At          time.Time // of this status
	Overdue     time.Time // since when it is out of sync, but for what waits for SPLAY; zero: it is not
	LastReload  lastReload
	Counts      Counts
	WatchErrors uint64
}

// TargetStatus is what is known of one target.
type TargetStatus struct {
	PID       int            `json:"pid,omitempty"` // unknown of a URL alone
	UID       *int           `json:"uid,omitempty"` // what podsignal check finds; unknown if it has just ended
	Started   Moment         `json:"started,omitzero"`
	Delivered *Digest        `json:"delivered,omitempty"` // that it was notified of, or has started with
	Running   *Digest        `json:"running,omitempty"`   // as far as the evidence goes
	Rejected  *Rejection     `json:"rejected,omitempty"`
	Outcome   verify.Outcome `json:"outcome,omitempty"`      // of its last signal or call
	Watched   Moment         `json:"watched_until,omitzero"` // its last signal's effect is
	Pending   string         `json:"pending,omitempty"`      // why it was not notified of the digest
	Held      bool           `json:"held,omitempty"`         // by HOLD: that is no failure
	Failing   Moment         `json:"failing_since,omitzero"`
}

// A Digest is one that a program, or the files, have in some way.
type Digest struct {
	Digest string `json:"digest"`
	Since  Moment `json:"since,omitzero"`
}

// A Rejection is a digest that was rejected, and how.
type Rejection struct {
	Digest
	Outcome verify.Outcome `json:"outcome"`
}

// digestOf is nil for none.
func digestOf(s verify.State) *Digest {
	if s.None() {
		return nil
	}
	return &Digest{s.Digest, Moment{s.Since}}
}

// rejectionOf is nil for none.
func rejectionOf(s verify.State) *Rejection {
	if s.None() {
		return nil
	}
	return &Rejection{Digest{s.Digest, Moment{s.Since}}, s.Outcome}
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
	told           bool      // a failure was posted that is not over

	rejected verify.State // what no target is left that has rejected it, or is invalid
	last     lastReload
}

// compare notes since when what the files show has not reached all targets, and
// since when that is not only because they wait for SPLAY.
func (l *Loop) compare() {
	now := time.Now()
	overdue := l.desired.Err != nil || len(l.targets) == 0 && l.sync.reached != l.desired.Digest
	outOfSync, held := overdue, false
	for _, t := range l.targets {
		if !l.runs(t) {
			outOfSync = true
			held = held || l.holds(t)
			overdue = overdue || !l.holds(t) && !now.Before(t.due)
		}
	}
	l.holding.since = since(l.holding.since, held)
	l.sync.staleSince = since(l.sync.staleSince, l.desired.Stale != nil)
	l.sync.outOfSyncSince = since(l.sync.outOfSyncSince, outOfSync)
	l.sync.overdueSince = since(l.sync.overdueSince, overdue)
	if l.recovered() {
		l.sync.rejected = verify.State{}
	}
	l.judge()
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
	s := l.describe()
	s.Figures = Figures{
		At: time.Now(), Overdue: l.sync.overdueSince, LastReload: l.sync.last,
		Counts: l.counts, WatchErrors: l.env.files.errors(),
	}
	s.Figures.Counts.Outcomes = maps.Clone(l.counts.Outcomes)
	return s
}

// describe is the status without its figures.
func (l *Loop) describe() *Status {
	s := &Status{
		Rule:      l.rule.Name,
		Files:     l.rule.Files.Paths,
		Exclude:   l.rule.Files.Exclude,
		Process:   l.rule.Process,
		DryRun:    l.rule.DryRun,
		Mode:      l.env.files.mode(),
		OnDisk:    digestOf(verify.State{Digest: shortOf(l.desired.Digest), Since: l.desired.changed}),
		Paths:     l.desired.paths,
		Rejected:  rejectionOf(l.sync.rejected),
		OutOfSync: Moment{l.sync.outOfSyncSince},
		Hold:      l.rule.Hold,
		Held:      Moment{l.holding.since},
		Targets:   make([]TargetStatus, 0, len(l.targets)),
	}
	if l.rule.Reload != nil {
		s.URL = l.rule.Reload.Shown()
	} else {
		s.Signal = signal.Name(l.rule.Signal)
	}
	s.Pending, s.Failing = l.pending()
	if l.desired.Stale != nil {
		s.Stale, s.StaleAt = l.desired.Stale.Error(), Moment{l.sync.staleSince}
	}
	for _, t := range l.targets {
		s.Targets = append(s.Targets, l.targetStatus(t))
	}
	return s
}

// pending is why nothing reaches any target, and since when that has been a failure of
// podsignal's work, not of the configuration.
func (l *Loop) pending() (why string, since Moment) {
	for _, all := range []failure{l.desired.filesFailure.failure, l.search.noTarget.failure} {
		if !all.began.IsZero() {
			return all.err.Error(), Moment{all.began}
		}
	}
	v := &l.validation
	switch {
	case !l.holding.since.IsZero():
		return l.whyHeld(), Moment{}
	case v.running != nil:
		return "VALIDATE is running", Moment{}
	case v.failing.err != nil && l.undelivered():
		return v.failing.err.Error(), Moment{}
	}
	return "", Moment{}
}

func (l *Loop) targetStatus(t *targetState) TargetStatus {
	s := TargetStatus{
		PID: t.PID, Outcome: t.Outcome,
		Delivered: digestOf(verify.State{Digest: shortOf(t.applied), Since: t.sent}),
		Running:   digestOf(t.Running),
		Rejected:  rejectionOf(t.Rejected),
	}
	if t.PID != 0 {
		s.Started = Moment{t.begun}
	}
	if l.rule.DryRun {
		s.Delivered = nil
	}
	watches := l.verify.Watches(&t.Target)
	if watches {
		s.Watched = Moment{t.sent.Add(l.rule.Verify)}
	}
	refused := !t.Rejected.None() && t.Rejected.Digest == l.digest()
	switch {
	case l.runs(t):
		if watches && t.Running.Digest != l.digest() {
			s.Pending = fmt.Sprintf("its effect is watched, for VERIFY=%v", l.rule.Verify)
		}
	case l.calls(t):
		s.Pending = "the URL has been called, and has not answered yet"
	case l.holds(t):
		s.Pending, s.Held = "held", true
	case !t.failing.began.IsZero():
		s.Pending = t.failing.err.Error()
		if !refused { // then podsignal has done its work
			s.Failing = Moment{t.failing.began}
		}
	case l.desired.Err != nil:
		s.Pending = "the files cannot be read"
	case l.validation.running != nil || l.validation.failing.err != nil:
		s.Pending = "the files are not valid yet"
	case time.Now().Before(t.due):
		s.Pending = fmt.Sprintf("waits until %s, its share of SPLAY=%v", t.due.UTC().Format(time.RFC3339), l.rule.Splay.Within)
	default:
		s.Pending = fmt.Sprintf("MIN_INTERVAL=%v since the last reload is not over", l.rule.MinInterval)
	}
	return s
}

// Changed is when the digest on disk came to be; zero: there is none yet.
func (s *Status) Changed() time.Time {
	if s.OnDisk == nil {
		return time.Time{}
	}
	return s.OnDisk.Since.Time
}

// Ready is an error if podsignal is not watching, or a delivery has been failing, or a
// mount been stale, for so long that somebody should know.
func (s *Status) Ready() error {
	if s.OnDisk == nil {
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
