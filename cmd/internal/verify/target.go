package verify

import (
	"time"

	"github.com/podsignal/podsignal/signal"
)

// A Target is one, with what its signals have led to so far.
type Target struct {
	*signal.Target
	Outcome  Outcome // of its last signal or call; empty: none yet
	Running  State   // the digest that it runs, as far as the evidence goes
	Rejected State   // the one that it would not run, until it runs another

	replaced bool // a signal has replaced its children once
}

// A State is a digest, and since when it has been so; zero: none.
type State struct {
	Digest  string
	Since   time.Time
	Outcome Outcome // of a digest that was rejected: how
}

// None tells whether there is no such digest.
func (s State) None() bool { return s.Digest == "" }

// Runs notes the evidence that the target runs a digest, which ends its rejection of another.
func (t *Target) Runs(digest string) {
	if t.Running.Digest != digest {
		t.Running = State{Digest: digest, Since: time.Now()}
	}
	t.Rejected = State{}
}

// Rejects notes that the target would not run a digest: it goes on with what it ran.
func (t *Target) Rejects(digest string, how Outcome) {
	if t.Running.Digest == digest {
		t.Running = State{} // an earlier reload of the same content is no evidence any more
	}
	if t.Rejected.Digest != digest {
		t.Rejected = State{Digest: digest, Since: time.Now()}
	}
	t.Rejected.Outcome = how
}
