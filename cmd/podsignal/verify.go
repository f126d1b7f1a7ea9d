package main

import (
	"runtime/debug"
	"slices"
	"time"

	"github.com/podsignal/podsignal/signal"
)

// An outcome is what was seen of a signal's effect, no more. None of them but died
// and kept says whether the program likes what it has read.
type outcome string

// The outcomes, the strongest first.
const (
	died      outcome = "died"      // the target is gone
	ended     outcome = "ended"     // it is gone, as TERM, INT and QUIT ask
	restarted outcome = "restarted" // it is gone, and another of its name has come
	replaced  outcome = "replaced"  // all of its children are new
	kept      outcome = "kept"      // no child is new, although an earlier signal replaced them
	read      outcome = "read"      // a watched file has been opened
	unseen    outcome = "unseen"    // nothing of this
	accepted  outcome = "accepted"  // the URL that was called answered with a status of 2xx
)

var outcomes = []outcome{died, ended, restarted, replaced, kept, read, unseen, accepted}

// verifyEvery is how often a signalled target is looked at: from the first of the
// times, doubling, to the second. Most that die do so within 80 ms.
var verifyEvery = [2]time.Duration{10 * time.Millisecond, 500 * time.Millisecond}

// A verification watches the effect of one signal.
type verification struct {
	target *told
	digest string
	was    string // the digest that it had been told before
	sent   time.Time
	next   time.Time // when to look again
	wait   time.Duration

	before   map[int]bool // the target's children before the signal
	fresh    bool         // at the last look there were others among them
	replaced bool         // at one look there were only others
	ended    bool
	watched  bool // for read
	read     bool
}

// prepare notes what has to be known before the signal is sent.
func (d *delivery) prepare(t *told) *verification {
	if d.rule.verify == 0 {
		return nil
	}
	v := &verification{target: t, digest: d.digest(), was: shortOf(t.applied)}
	if children, err := d.children(t.Target); err == nil {
		v.before = children
		for _, other := range d.verifications {
			if other.target == t {
				other.see(children)
			}
		}
	}
	if d.watching == nil {
		d.watching, _ = d.opens()
	}
	v.watched = d.watching != nil
	d.noteOpens() // last: what is opened from here on belongs to this signal
	return v
}

// noteOpens credits what was opened to all whose effect is being watched.
func (d *delivery) noteOpens() {
	if d.watching == nil || !d.watching.Seen() {
		return
	}
	for _, v := range d.verifications {
		v.read = v.read || v.watched
	}
}

// renewOpens drops what podsignal has opened itself for a snapshot, and has the opening
// of the files that it shows noticed.
func (d *delivery) renewOpens() {
	if d.watching == nil {
		return
	}
	d.watching.Seen()
	if d.watching.Renew() != nil {
		d.stopOpens() // those of before would say that nothing was opened
	}
}

// stopOpens gives the inotify instance back. The kernel takes some 10 ms for that.
func (d *delivery) stopOpens() {
	if d.watching != nil {
		_ = d.watching.Close() // nothing was written
		d.watching = nil
	}
}

// begin watches the effect of a signal, if it was sent. One that is still being
// watched for the same target ends with what had been seen of it right before.
func (d *delivery) begin(v *verification, err error) {
	if v == nil || err != nil {
		return
	}
	d.verifications = slices.DeleteFunc(d.verifications, func(other *verification) bool {
		if other.target != v.target {
			return false
		}
		d.tell(other)
		return true
	})
	v.sent = time.Now()
	v.next = v.sent.Add(verifyEvery[0])
	d.verifications = append(d.verifications, v)
}

// verify looks at the targets that were signalled, and tells the outcome of those
// whose time is over.
func (d *delivery) verify() {
	now := time.Now()
	var going []*verification
	for _, v := range d.verifications {
		over := now.Sub(v.sent) >= d.rule.verify
		if over || !now.Before(v.next) {
			d.look(v)
		}
		if over {
			d.tell(v)
		} else {
			going = append(going, v)
		}
	}
	d.verifications = going
	if len(d.verifications) == 0 && d.watching != nil {
		d.stopOpens()
		// It is quiet again. By itself Go's runtime would keep 0.6 MiB of what a change
		// has left behind, in every pod.
		debug.FreeOSMemory()
	}
}

// look notes what is to be seen of the effect now.
func (d *delivery) look(v *verification) {
	v.wait = min(max(2*v.wait, verifyEvery[0]), verifyEvery[1])
	v.next = time.Now().Add(v.wait)
	if end := v.sent.Add(d.rule.verify); end.Before(v.next) {
		v.next = end
	}
	if !v.ended && d.ended(v.target.Target) {
		v.ended = true
		d.search = time.Now() // for its successor
	}
	if children, err := d.children(v.target.Target); err == nil && !v.ended {
		v.see(children)
	}
	if !d.settling() { // podsignal reads the files itself, at the end of a change
		d.noteOpens()
	}
}

// see notes which of the target's children are new.
func (v *verification) see(children map[int]bool) {
	if len(v.before) == 0 {
		return
	}
	fresh := 0
	for child := range children {
		if !v.before[child] {
			fresh++
		}
	}
	v.fresh = fresh > 0
	v.replaced = v.replaced || fresh > 0 && fresh == len(children)
}

// outcome is the strongest that was seen.
func (d *delivery) outcome(v *verification) outcome {
	whole := time.Since(v.sent) >= d.rule.verify
	switch {
	case v.ended && slices.ContainsFunc(d.targets, func(t *told) bool { return t.found.After(v.sent) }):
		return restarted
	case v.ended && signal.MeansEnd(d.rule.signal):
		return ended
	case v.ended:
		return died
	case v.replaced:
		return replaced
	case v.target.replaced && len(v.before) > 0 && !v.fresh && whole:
		return kept
	case v.read:
		return read
	default:
		return unseen
	}
}

// restarting tells whether a target has ended just now, as the signal asks.
func (d *delivery) restarting() bool {
	return signal.MeansEnd(d.rule.signal) && slices.ContainsFunc(d.verifications, func(v *verification) bool { return v.ended })
}

// tell logs the outcome.
func (d *delivery) tell(v *verification) {
	seen := d.outcome(v)
	v.target.replaced = v.target.replaced || seen == replaced
	v.target.outcome = seen
	d.counts.outcomes[seen]++
	log := d.log.With("digest", v.digest, "pid", v.target.PID, "outcome", string(seen))
	switch seen {
	case died:
		log.Warn("the process ended after the signal: read its container's log")
	case kept:
		log.Warn("the process kept its workers, so it refused what it has read: read its container's log")
	default:
		log.Info("the signal's effect")
	}
	if seen == died || seen == kept || d.notifyAll {
		d.post(v.target, seen, v.was, v.digest, nil)
	}
}
