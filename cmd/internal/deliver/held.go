package deliver

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/hold"
)

// holding is what HOLD says of the rule's changes.
type holding struct {
	approvals hold.Approvals
	known     bool      // its file has been read, or cannot be
	approved  bool      // what the files show is
	missed    bool      // that the file is missing or unreadable has been logged
	odd       int       // the line of it that was logged as no digest; 0: none was
	logged    [32]byte  // the digest of which it was logged that it is held
	since     time.Time // since when a target is kept from what the files show; zero: none is
}

// approve takes what HOLD's file says now.
func (l *Loop) approve(a hold.Approvals) {
	h := &l.holding
	if a.Err != nil && !h.missed {
		l.log.Warn("HOLD unreadable, all changes are held: mount its volume into podsignal's container, or fix HOLD", "hold", l.rule.Hold, "err", a.Err)
	}
	if a.Odd != 0 && a.Odd != h.odd {
		l.log.Warn("HOLD has a line that is no digest, ignoring it: use the 64 digits that podsignal status --json has", "hold", l.rule.Hold, "line", a.Odd)
	}
	h.missed, h.odd = a.Err != nil, a.Odd
	h.approvals, h.known = a, true
	l.checkApproval()
}

// checkApproval notes whether the digests of all paths are approved.
func (l *Loop) checkApproval() {
	h := &l.holding
	h.approved = true
	if l.rule.Hold == "" {
		return
	}
	l.desired.paths = slices.Clone(l.desired.paths) // the last status has the others
	for i := range l.desired.paths {
		p := &l.desired.paths[i]
		p.Unapproved = p.Digest != "" && h.approvals.Lacks(p.Digest)
		h.approved = h.approved && !p.Unapproved
	}
	if h.approved {
		h.logged = [32]byte{}
	}
}

// holds tells whether a target is kept from what the files show. What it was told before it may be
// told again.
func (l *Loop) holds(t *targetState) bool {
	return !l.holding.approved && t.applied != l.desired.Digest
}

// hold keeps a target from what the files show. Nothing is failing then, whatever has failed before.
func (l *Loop) hold(t *targetState) {
	t.failing, t.due = retrying{}, time.Time{}
	t.heldBy = l.desired.Digest
	if h := &l.holding; h.known && h.logged != l.desired.Digest {
		h.logged = l.desired.Digest
		l.log.Info("change held until it is approved", l.digestAttr(), slog.String("hold", l.rule.Hold))
	}
}

// whyHeld is for the status.
func (l *Loop) whyHeld() string {
	switch h := &l.holding; {
	case !h.known:
		return fmt.Sprintf("held: %s has not been read yet", l.rule.Hold)
	case h.approvals.Err != nil:
		return fmt.Sprintf("held: %v", h.approvals.Err)
	default:
		return fmt.Sprintf("held: %s does not have the digests of all paths", l.rule.Hold)
	}
}
