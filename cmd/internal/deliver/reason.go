package deliver

import "time"

// A reason is why a target was signalled, or a URL called.
type reason string

// The reasons.
const (
	reasonChange   reason = "change"
	reasonStartup  reason = "startup"  // for a change before podsignal's start
	reasonNewcomer reason = "newcomer" // the target was found after the change
	reasonApproved reason = "approved" // the change was held until HOLD approved it
	reasonRetry    reason = "retry"    // an attempt for this content has failed, or was held back
	reasonRepeat   reason = "repeat"   // the files changed and changed back while it may have been reading
)

// reason is that of an attempt that has succeeded.
func (l *Loop) reason(a attempt) reason {
	t, changed := a.target, time.Now().Add(-a.shown.Age())
	switch {
	case t.applied == a.shown.Digest:
		return reasonRepeat
	case t.heldBy == a.shown.Digest:
		return reasonApproved
	case changed.Before(l.started):
		return reasonStartup
	case t.found.After(changed):
		return reasonNewcomer
	case t.failing.tries > 0:
		return reasonRetry
	default:
		return reasonChange
	}
}
