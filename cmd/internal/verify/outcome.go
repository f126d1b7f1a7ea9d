// Package verify watches what becomes of signals that were sent, and keeps what is known of
// each target: which digest it runs, and which it has rejected.
package verify

// An Outcome is what was seen of a signal's effect, and no more.
type Outcome string

// The outcomes of signals and calls, the strongest first.
const (
	Died      Outcome = "died"      // the target is gone
	Ended     Outcome = "ended"     // it is gone, as TERM, INT and QUIT ask
	Restarted Outcome = "restarted" // it is gone, and another of its name has come
	Replaced  Outcome = "replaced"  // its children are new: one of them if that is expected, else all
	Refused   Outcome = "refused"   // the expected effect has not come, or the URL that was called answered so
	Read      Outcome = "read"      // a watched file has been opened
	Unseen    Outcome = "unseen"    // nothing of this
	Accepted  Outcome = "accepted"  // the URL that was called answered with a status of 2xx
)

// Those of changes.
const (
	Invalid     Outcome = "invalid"     // VALIDATE has failed, and nothing was sent
	Undelivered Outcome = "undelivered" // it has reached nobody for a minute
	Resolved    Outcome = "resolved"    // what has failed before is over
)

// Outcomes are those that are counted.
var Outcomes = []Outcome{Died, Ended, Restarted, Replaced, Refused, Read, Unseen, Accepted, Invalid}

// Failed tells whether somebody should know of it.
func (o Outcome) Failed() bool {
	return o == Died || o == Refused || o == Invalid || o == Undelivered
}
