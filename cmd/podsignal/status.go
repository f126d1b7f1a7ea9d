package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/podsignal/podsignal/signal"
)

// status is what podsignal knows and does at one moment: the page /status, and all
// that the other pages say. It is a copy, made by the delivery loop when asked.
type status struct {
	Version   string         `json:"version,omitempty"`
	Rule      string         `json:"rule,omitempty"`
	Files     []string       `json:"file"`
	Process   string         `json:"process,omitempty"`
	Signal    string         `json:"signal,omitempty"`
	URL       string         `json:"url,omitempty"` // that is called instead
	DryRun    bool           `json:"dry_run,omitempty"`
	Mode      string         `json:"mode"` // inotify or poll
	Digest    string         `json:"digest,omitempty"`
	Changed   moment         `json:"changed,omitzero"`
	OutOfSync moment         `json:"out_of_sync_since,omitzero"`
	Pending   string         `json:"pending,omitempty"` // why nothing reaches any target
	Failing   moment         `json:"failing_since,omitzero"`
	Stale     string         `json:"stale,omitempty"` // why the files may be older than what is on the host
	StaleAt   moment         `json:"stale_since,omitzero"`
	Targets   []targetStatus `json:"targets"`
	Check     *report        `json:"check"` // as podsignal check --json prints it

	at          time.Time
	late        time.Time // since when OutOfSync, but for what waits for SPLAY
	counts      counts
	watchErrors uint64
}

type targetStatus struct {
	PID       int     `json:"pid,omitempty"` // unknown of a URL alone
	UID       *int    `json:"uid,omitempty"` // unknown if it has just ended
	Started   moment  `json:"started,omitzero"`
	Applied   string  `json:"applied,omitempty"`
	Signalled moment  `json:"signalled,omitzero"`
	Outcome   outcome `json:"outcome,omitempty"` // of that signal
	Pending   string  `json:"pending,omitempty"` // why it has not been told of the digest
	Failing   moment  `json:"failing_since,omitzero"`
}

// moment is a time that is shown in UTC and to the millisecond.
type moment struct{ time.Time }

// MarshalJSON is RFC 3339.
func (m moment) MarshalJSON() ([]byte, error) {
	return m.UTC().Truncate(time.Millisecond).MarshalJSON()
}

// counts are what the metrics count. The delivery loop owns them.
type counts struct {
	changes     uint64
	arrived     uint64 // signals sent
	late        uint64 // of these: for changes before podsignal's start, or that waited for a target
	heldBack    uint64 // and tried again
	failed      uint64 // the same
	lastArrived time.Time
	latency     histogram // of the other signals sent, since the change
	outcomes    map[outcome]uint64
}

func (c *counts) sent(after time.Duration, late bool) {
	c.arrived++
	c.lastArrived = time.Now()
	if late {
		c.late++
		return
	}
	c.latency.observe(after.Seconds())
}

// compare notes since when what the files show has not reached all targets, and
// since when that is not only because they wait for SPLAY.
func (d *delivery) compare() {
	now := time.Now()
	late := d.desired.Err != nil || len(d.targets) == 0 && d.reached != d.desired.Digest
	behind := late
	for _, t := range d.targets {
		if !d.runs(t) {
			behind = true
			late = late || !now.Before(t.due)
		}
	}
	d.stale = since(d.stale, d.desired.Stale != nil)
	d.behind = since(d.behind, behind)
	d.late = since(d.late, late)
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

func (d *delivery) status() *status {
	s := &status{
		Rule:        d.rule.name,
		Files:       d.rule.files,
		Process:     d.rule.process,
		DryRun:      d.rule.dryRun,
		Mode:        d.watcher.Mode(),
		Changed:     moment{d.changed},
		OutOfSync:   moment{d.behind},
		late:        d.late,
		Targets:     make([]targetStatus, 0, len(d.targets)),
		at:          time.Now(),
		counts:      d.counts,
		watchErrors: d.watcher.Errors(),
	}
	if d.rule.reload != nil {
		s.URL = shownURL(d.rule.reload.url)
	} else {
		s.Signal = signal.Name(d.rule.signal)
	}
	s.counts.outcomes = maps.Clone(d.counts.outcomes)
	s.Digest = shortOf(d.desired.Digest)
	for _, all := range []trouble{d.held, d.missing} {
		if !all.began.IsZero() {
			s.Pending, s.Failing = all.err.Error(), moment{all.began}
			break
		}
	}
	if d.desired.Stale != nil {
		s.Stale, s.StaleAt = d.desired.Stale.Error(), moment{d.stale}
	}
	for _, t := range d.targets {
		s.Targets = append(s.Targets, d.targetStatus(t))
	}
	return s
}

func (d *delivery) targetStatus(t *told) targetStatus {
	s := targetStatus{PID: t.PID, Outcome: t.outcome}
	if t.PID != 0 {
		s.Started = moment{t.begun}
	}
	s.Applied = shortOf(t.applied)
	if !d.rule.dryRun {
		s.Signalled = moment{t.sent}
	}
	switch {
	case d.runs(t):
	case t == d.calling:
		s.Pending = "the URL has been called, and has not answered yet"
	case !t.failing.began.IsZero():
		s.Pending, s.Failing = t.failing.err.Error(), moment{t.failing.began}
	case d.desired.Err != nil:
		s.Pending = "the files cannot be read"
	case time.Now().Before(t.due):
		s.Pending = fmt.Sprintf("waits until %s, its share of SPLAY=%v", t.due.UTC().Format(time.RFC3339), d.rule.splay)
	default:
		s.Pending = fmt.Sprintf("MIN_INTERVAL=%v since the last %s is not over", d.rule.minInterval, d.noun)
	}
	return s
}

// add adds what podsignal check finds now.
func (s *status) add(found *report) {
	s.Check = found
	for i := range s.Targets {
		for _, p := range found.Processes {
			if p.PID == s.Targets[i].PID {
				s.Targets[i].UID = &p.UID
			}
		}
	}
}

// ready is an error if podsignal is not watching, or a delivery has been failing, or a
// mount been stale, for so long that somebody should know.
func (s *status) ready() error {
	if s.Digest == "" {
		return errors.New(cmp.Or(s.Pending, "the first look at the files is not over"))
	}
	failing := slices.Concat([]targetStatus{{Pending: s.Pending, Failing: s.Failing}, {Pending: s.Stale, Failing: s.StaleAt}}, s.Targets)
	var errs []error
	for _, f := range failing {
		if !f.Failing.IsZero() && s.at.Sub(f.Failing.Time) > patience {
			errs = append(errs, fmt.Errorf("since %s: %s", f.Failing.UTC().Format(time.RFC3339), f.Pending))
		}
	}
	return errors.Join(errs...)
}
