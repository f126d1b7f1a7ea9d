package main

import (
	"slices"
	"time"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
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
)

// verifyEvery is how often a signalled target is looked at: from the first of the
// times, doubling, to the second. Most that die do so within 80 ms.
var verifyEvery = [2]time.Duration{10 * time.Millisecond, 500 * time.Millisecond}

// A verification watches the effect of one signal.
type verification struct {
	target *told
	digest string
	sent   time.Time
	next   time.Time // when to look again
	wait   time.Duration

	before   map[int]bool // the target's children before the signal
	fresh    bool         // at the last look there were others among them
	replaced bool         // at one look there were only others
	ended    bool
	opens    *watcher.Opens // nil: not to be known
	read     bool
}

// prepare notes what has to be known before the signal is sent.
func (d *delivery) prepare(t *told) *verification {
	if d.cfg.verify == 0 {
		return nil
	}
	v := &verification{target: t, digest: d.digest()}
	if children, err := d.children(t.Target); err == nil {
		v.before = children
	}
	if opens, err := d.opens(); err == nil {
		v.opens = opens
	}
	return v
}

// begin watches the effect of a signal, if it was sent. One that is still being
// watched for the same target ends with what has been seen of it.
func (d *delivery) begin(v *verification, err error) {
	if v == nil {
		return
	}
	if err != nil {
		v.close()
		return
	}
	d.verifyAll(func(other *verification) bool { return other.target == v.target })
	v.sent = time.Now()
	v.next = v.sent.Add(verifyEvery[0])
	d.verifications = append(d.verifications, v)
}

// verify looks at the targets that were signalled, and tells the outcome of those
// whose time is over.
func (d *delivery) verify() {
	now := time.Now()
	d.verifyAll(func(v *verification) bool { return now.Sub(v.sent) >= d.cfg.verify })
}

// verifyAll looks at those that are due, and ends those that over says.
func (d *delivery) verifyAll(over func(*verification) bool) {
	var going []*verification
	for _, v := range d.verifications {
		end := over(v)
		if end || !time.Now().Before(v.next) {
			d.look(v)
		}
		if !end {
			going = append(going, v)
			continue
		}
		d.tell(v)
	}
	d.verifications = going
}

// look notes what is to be seen of the effect now.
func (d *delivery) look(v *verification) {
	v.wait = min(max(2*v.wait, verifyEvery[0]), verifyEvery[1])
	v.next = time.Now().Add(v.wait)
	if end := v.sent.Add(d.cfg.verify); end.Before(v.next) {
		v.next = end
	}
	if !v.ended && d.ended(v.target.Target) {
		v.ended = true
		d.search = time.Now() // for its successor
	}
	if children, err := d.children(v.target.Target); err == nil && !v.ended && len(v.before) > 0 {
		fresh := 0
		for child := range children {
			if !v.before[child] {
				fresh++
			}
		}
		v.fresh = fresh > 0
		v.replaced = v.replaced || fresh > 0 && fresh == len(children)
	}
	switch {
	case v.opens == nil:
	case d.settling(): // podsignal reads the files itself, at the end of a change
		v.close()
	default:
		v.read = v.opens.Seen() || v.read
	}
}

// outcome is the strongest that was seen.
func (d *delivery) outcome(v *verification) outcome {
	whole := time.Since(v.sent) >= d.cfg.verify
	switch {
	case v.ended && slices.ContainsFunc(d.targets, func(t *told) bool { return t.found.After(v.sent) }):
		return restarted
	case v.ended && signal.MeansEnd(d.cfg.signal):
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
	return signal.MeansEnd(d.cfg.signal) && slices.ContainsFunc(d.verifications, func(v *verification) bool { return v.ended })
}

// tell logs the outcome.
func (d *delivery) tell(v *verification) {
	v.close()
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
}

// close ends the watch for files being opened.
func (v *verification) close() {
	if v.opens != nil {
		_ = v.opens.Close() // nothing was written
		v.opens = nil
	}
}
