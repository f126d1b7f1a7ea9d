// Package verify watches what becomes of signals that were sent.
package verify

// An Outcome is what was seen of a signal's effect, and no more. None of them but Died
// and Kept says whether the program likes what it has read.
type Outcome string

// The outcomes, the strongest first.
const (
	Died      Outcome = "died"      // the target is gone
	Ended     Outcome = "ended"     // it is gone, as TERM, INT and QUIT ask
	Restarted Outcome = "restarted" // it is gone, and another of its name has come
	Replaced  Outcome = "replaced"  // all of its children are new
	Kept      Outcome = "kept"      // no child is new, although an earlier signal replaced them
	Read      Outcome = "read"      // a watched file has been opened
	Unseen    Outcome = "unseen"    // nothing of this
	Accepted  Outcome = "accepted"  // the URL that was called answered with a status of 2xx
)

// Undelivered is the outcome of a change that has reached nobody for a minute.
const Undelivered Outcome = "undelivered"

// Outcomes are those of signals and calls.
var Outcomes = []Outcome{Died, Ended, Restarted, Replaced, Kept, Read, Unseen, Accepted}

// Failed tells whether somebody should know of it.
func (o Outcome) Failed() bool { return o == Died || o == Kept || o == Undelivered }
