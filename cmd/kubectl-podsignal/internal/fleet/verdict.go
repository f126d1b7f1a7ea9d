package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Verdict says how far a pod, or a rule of one, has come.
type Verdict string

// The verdicts, of which a pod has the worst of its rules: the first here.
const (
	Died    Verdict = "died"                    // the program has died of what is on disk
	Invalid Verdict = "invalid"                 // VALIDATE has rejected it
	Refused Verdict = "refused"                 // the program runs what it ran before
	Pending Verdict = "pending"                 // it cannot be delivered, or nothing tells that it runs
	Held    Verdict = "held"                    // HOLD has no approval for it
	Waiting Verdict = "waiting for the kubelet" // what is on disk is not what the API has
	Live    Verdict = "live"                    // the program runs what the API has
)

// Uncounted are verdicts of pods that do not count.
const (
	Completed Verdict = "completed"
	Deleted   Verdict = "deleted"
	Without   Verdict = "without podsignal"
)

// order is that of Verdicts, the worst first.
var order = []Verdict{Died, Invalid, Refused, Pending, Held, Waiting, Live, Completed, Deleted, Without}

// Verdicts are all of them, the worst first.
func Verdicts() []Verdict { return slices.Clone(order) }

// Counts tells whether a pod with this verdict is to be live.
func (v Verdict) Counts() bool { return v != Completed && v != Deleted && v != Without }

// Failed tells whether the configuration is to be fixed.
func (v Verdict) Failed() bool { return v == Died || v == Invalid || v == Refused }

// judge says how far a rule has come, and why it is no further.
func (r *Rule) judge() (Verdict, string) {
	for i := range r.Paths {
		p := &r.Paths[i]
		if p.wanted.Fixed != "" {
			return Pending, p.wanted.Fixed
		}
		if p.wanted.Undeliverable != "" {
			return Waiting, "the kubelet cannot update the volume: " + p.wanted.Undeliverable
		}
		if !p.current() {
			return Waiting, p.Path.Path + " is not up to date"
		}
	}
	s := &r.Status
	if s.OnDisk == nil {
		return Pending, cmp.Or(s.Pending, "podsignal has not read the files yet")
	}
	if by := s.Rejection(); by != nil {
		if why, known := rejected[Verdict(by.Outcome)]; known {
			return Verdict(by.Outcome), why
		}
		return Refused, fmt.Sprintf("podsignal says %s, which this plugin does not know: see podsignal's log", by.Outcome)
	}
	if !s.Held.IsZero() {
		if why, ok := strings.CutPrefix(s.Pending, "held: "); ok && !strings.HasPrefix(why, s.Hold+" does not have ") {
			return Held, why // such as that the file cannot be read
		}
		return Held, s.Hold + " does not have its digest: use kubectl podsignal rollout"
	}
	for _, why := range []string{s.Pending, s.Undelivered(), s.Stale} {
		if why != "" {
			return Pending, why
		}
	}
	if !s.Runs() {
		return Pending, "nothing tells yet that it runs: see podsignal status; if there is nothing to be seen of a reload, set EXPECT=none"
	}
	return Live, ""
}

// rejected says what to do.
var rejected = map[Verdict]string{
	Refused: "the program runs what it ran before: fix the files; see its log",
	Invalid: "VALIDATE has rejected the files: fix them; see podsignal's log",
	Died:    "the program has died of the files: fix them; see its log",
}

// worst is the first of two in the order of the verdicts.
func worst(a, b Verdict) Verdict {
	if slices.Index(order, a) < slices.Index(order, b) {
		return a
	}
	return b
}
