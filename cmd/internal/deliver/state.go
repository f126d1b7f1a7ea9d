package deliver

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// lastReload says how the last reload has ended, as far as that is known.
type lastReload int

// What is known of it.
const (
	ReloadUnknown lastReload = iota
	ReloadSuccessful
	ReloadFailed // and none has succeeded since
)

// undelivered tells whether somebody has still to be notified of what the files show.
func (l *Loop) undelivered() bool {
	return len(l.targets) == 0 || slices.ContainsFunc(l.targets, func(t *targetState) bool { return !l.runs(t) })
}

// proven tells whether there is evidence that a target runs what the files show.
func (l *Loop) proven(t *targetState) bool {
	return l.runs(t) && t.Running.Digest == l.digest()
}

// recovered tells whether what was rejected is over: all targets run what the files show. What
// was invalid is over as soon as they were notified of what is valid, or have started with it and
// not ended.
func (l *Loop) recovered() bool {
	if l.sync.rejected.None() || l.undelivered() {
		return false
	}
	for _, t := range l.targets {
		if t.started || l.sync.rejected.Outcome != verify.Invalid && !l.proven(t) {
			return false
		}
	}
	return true
}

// rejects tells whether something is rejected now.
func (l *Loop) rejects() bool {
	return !l.sync.rejected.None() || slices.ContainsFunc(l.targets, func(t *targetState) bool { return !t.Rejected.None() })
}

// judge notes how the last reload has ended. A program that was started again with what it has
// rejected before, and runs it, is as good as a reload.
func (l *Loop) judge() {
	if l.rejects() {
		l.sync.last = ReloadFailed
		return
	}
	if l.sync.last == ReloadFailed {
		l.sync.last = ReloadSuccessful
	}
	for _, t := range l.targets {
		switch {
		case t.sent.IsZero() || l.rule.DryRun:
		case l.proven(t):
			l.sync.last = ReloadSuccessful
		case t.Outcome == verify.Unseen:
			l.sync.last = ReloadUnknown
		}
	}
}

// resolve posts that a failure which was posted is over: nothing is rejected or undelivered,
// and no effect is awaited.
func (l *Loop) resolve() {
	if !l.sync.told || l.rejects() || !l.sync.outOfSyncSince.IsZero() {
		return
	}
	for _, t := range l.targets {
		if !l.proven(t) && (t.started || l.verify.Watches(&t.Target)) {
			return
		}
	}
	l.sync.told = false
	pid := 0
	if len(l.targets) == 1 {
		pid = l.targets[0].PID
	}
	l.post(pid, verify.Resolved, "", l.digest(), nil)
}

// Problems are the reasons why what is on disk is not what all targets run, as far as is
// known, with what to do about it; none if all is in sync.
func (s *Status) Problems() []string {
	all, pending := s.Rejects(), s.Pending
	invalid := s.Rejected != nil && s.Rejected.Outcome == verify.Invalid
	if invalid || !s.Held.IsZero() && s.Failing.IsZero() { // that is why; or it is no problem
		pending = ""
	}
	for _, reason := range []string{pending, s.Stale} {
		if reason != "" {
			all = append(all, reason)
		}
	}
	if s.OnDisk == nil && s.Pending == "" {
		all = append(all, "the first scan of the files is not finished")
	}
	for _, t := range s.Targets {
		if t.Pending != "" && t.Rejected == nil && !invalid && !t.Held {
			all = append(all, s.name(t)+": "+t.Pending)
		}
	}
	return all
}

// Rejects says of each digest that is rejected by whom, and what to do about it.
func (s *Status) Rejects() (all []string) {
	add := func(who string, d *Rejection, running *Digest) {
		at := d.Since.UTC().Format(time.RFC3339)
		switch {
		case d.Outcome == verify.Invalid:
			all = append(all, fmt.Sprintf("digest %s is invalid since %s: fix the files; see podsignal's log", d.Digest.Digest, at))
		case d.Outcome == verify.Died:
			all = append(all, fmt.Sprintf("%s died of digest %s at %s: fix the files; see its log", who, d.Digest.Digest, at))
		case running != nil:
			all = append(all, fmt.Sprintf("%s rejected digest %s at %s, and runs %s: fix the files; see its log", who, d.Digest.Digest, at, running.Digest))
		default:
			all = append(all, fmt.Sprintf("%s rejected digest %s at %s: fix the files; see its log", who, d.Digest.Digest, at))
		}
	}
	if s.Rejected != nil {
		add(cmp.Or(s.Process, s.URL), s.Rejected, nil)
	}
	for _, t := range s.Targets {
		if t.Rejected != nil {
			add(s.name(t), t.Rejected, t.Running)
		}
	}
	return all
}

// name is that of a target.
func (s *Status) name(t TargetStatus) string {
	if t.PID == 0 {
		return cmp.Or(s.Process, s.URL)
	}
	return fmt.Sprintf("%s (pid %d)", s.Process, t.PID)
}
