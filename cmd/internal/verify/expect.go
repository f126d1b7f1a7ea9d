package verify

import (
	"errors"
	"strings"
	"time"

	"github.com/podsignal/podsignal/signal"
)

// Expect is the effect that a signal must have (EXPECT). That it has not is Refused.
type Expect string

// What may be expected.
const (
	ExpectUnknown  Expect = ""         // nothing is known of the program
	ExpectReplaced Expect = "replaced" // a target that has children gets a new one
	ExpectRead     Expect = "read"     // a watched file is opened
	ExpectNone     Expect = "none"     // nothing: that it was sent is all there is to see
)

// ParseExpect is for EXPECT, in any case. The text of the error is to follow NAME="value".
func ParseExpect(value string) (Expect, error) {
	switch e := Expect(strings.ToLower(value)); e {
	case ExpectUnknown, ExpectReplaced, ExpectRead, ExpectNone:
		return e, nil
	}
	return "", errors.New("is not valid: use replaced (its child processes), read (the watched files) or none")
}

// expected is what is expected of a signal to a target: one without children, such as PHP-FPM
// that starts them on demand, or nginx with master_process off, has none to be replaced.
func (s *Set) expected(v *Signal) Expect {
	if s.opts.Expect == ExpectReplaced && len(v.before) == 0 {
		return ExpectUnknown
	}
	return s.opts.Expect
}

// sufficient tells whether there is evidence that the target runs what it was signalled for,
// although it is still being watched.
func (s *Set) sufficient(v *Signal) bool {
	if v.ended {
		return false
	}
	read := v.read || !v.readable
	switch s.expected(v) {
	case ExpectRead:
		return v.read
	case ExpectReplaced:
		return v.fresh && read
	default:
		return v.replaced && read || len(v.before) == 0 && v.read
	}
}

// outcome is the strongest that was seen. newest is when the newest of the targets was found.
func (s *Set) outcome(v *Signal, newest time.Time) Outcome {
	expected := s.expected(v)
	switch {
	case v.ended && newest.After(v.sent):
		return Restarted
	case v.ended && signal.MeansEnd(s.opts.Signal):
		return Ended
	case v.ended:
		return Died
	case v.replaced, v.fresh && expected == ExpectReplaced:
		return Replaced
	case s.over(v) && s.refused(v):
		return Refused
	case v.read:
		return Read
	default:
		return Unseen
	}
}

// refused tells whether the expected effect is missing. That of a program of which nothing is
// known is what an earlier signal has had.
func (s *Set) refused(v *Signal) bool {
	unread := v.readable && !v.read
	// Without any of the old ones, they have been replaced by none so far: PHP-FPM may start
	// them on demand.
	unreplaced := len(v.before) > 0 && !v.fresh && v.old
	switch s.expected(v) {
	case ExpectReplaced:
		return unreplaced
	case ExpectRead:
		return unread
	case ExpectNone:
		return false
	default:
		return unreplaced && v.target.replaced
	}
}
