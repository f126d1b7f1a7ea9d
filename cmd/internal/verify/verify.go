package verify

import (
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// lookEvery is how often a signalled target is looked at: from the first of the
// times, doubling, to the second. Most that die do so within 80 ms.
var lookEvery = [2]time.Duration{10 * time.Millisecond, 500 * time.Millisecond}

// Options say what to watch, and how.
type Options struct {
	Within time.Duration  // for how long, after each signal (VERIFY); 0: not at all
	Signal syscall.Signal // that is sent

	Children func(*signal.Target) (map[int]bool, error)
	Ended    func(*signal.Target) bool
	Opens    func() (*watcher.Opens, error)
	Settling func() bool // the files are changing just now
}

// A Set watches the effects of signals. It belongs to one goroutine.
type Set struct {
	opts    Options
	watched []*Signal
	opens   *watcher.Opens // for all of these, since there are few instances on a node; nil: there are none, or it is unavailable
}

// A Target is one, with what its signals have led to so far.
type Target struct {
	*signal.Target
	Outcome Outcome // of its last signal; empty: none yet

	replaced bool // a signal has replaced its children once
}

// A Signal is one whose effect is watched.
type Signal struct {
	target      *Target
	digest, was string
	sent        time.Time
	next        time.Time // when to look again
	wait        time.Duration

	before   map[int]bool // the target's children before the signal
	fresh    bool         // at the last look there were others among them
	replaced bool         // at one look there were only others
	ended    bool
	readable bool // that files are opened is noticed
	read     bool
}

// A Result is what became of a signal.
type Result struct {
	Target  *Target
	Digest  string // that it was sent for
	Was     string // that the target had before
	Outcome Outcome
}

// New watches nothing yet.
func New(opts Options) *Set { return &Set{opts: opts} }

// Prepare notes what has to be known before a signal is sent for this digest to a target
// that had another. It returns nil if nothing is to be watched.
func (s *Set) Prepare(target *Target, digest, was string) *Signal {
	if s.opts.Within == 0 {
		return nil
	}
	v := &Signal{target: target, digest: digest, was: was}
	if children, err := s.opts.Children(target.Target); err == nil {
		v.before = children
		for _, other := range s.watched {
			if other.target == target {
				other.see(children)
			}
		}
	}
	if s.opens == nil {
		s.opens, _ = s.opts.Opens()
	}
	v.readable = s.opens != nil
	s.noteOpens() // last: what is opened from here on belongs to this signal
	return v
}

// Sent watches the effect of a signal that was prepared, and has been sent. One that is
// still being watched for the same target ends with what had been seen of it right before:
// these are the results. newest is when the newest of the targets was found.
func (s *Set) Sent(v *Signal, newest time.Time) (results []Result) {
	if v == nil {
		return nil
	}
	s.watched = slices.DeleteFunc(s.watched, func(other *Signal) bool {
		if other.target != v.target {
			return false
		}
		results = append(results, s.result(other, newest))
		return true
	})
	v.sent = time.Now()
	v.next = v.sent.Add(lookEvery[0])
	s.watched = append(s.watched, v)
	return results
}

// Look checks the targets whose turn it is. It returns the results of the signals whose
// time is over, and whether a target was seen to have ended, so that its successor should
// be looked for. newest is when the newest of the targets was found.
func (s *Set) Look(newest time.Time) (results []Result, ended bool) {
	now := time.Now()
	var going []*Signal
	for _, v := range s.watched {
		over := now.Sub(v.sent) >= s.opts.Within
		if over || !now.Before(v.next) {
			ended = s.look(v) || ended
		}
		if over {
			results = append(results, s.result(v, newest))
		} else {
			going = append(going, v)
		}
	}
	s.watched = going
	if len(s.watched) == 0 && s.opens != nil {
		s.Close()
		// It is quiet again. By itself Go's runtime would keep 0.6 MiB of what a change
		// has left behind, in every pod.
		debug.FreeOSMemory()
	}
	return results, ended
}

// Next is when to look again; zero: never.
func (s *Set) Next() (next time.Time) {
	for _, v := range s.watched {
		if next.IsZero() || v.next.Before(next) {
			next = v.next
		}
	}
	return next
}

// Ended has a target that has ended looked at by the next Look.
func (s *Set) Ended(target *Target) {
	for _, v := range s.watched {
		if v.target == target {
			v.next = time.Now()
		}
	}
}

// Restarting tells whether a target has ended just now, as the signal asks.
func (s *Set) Restarting() bool {
	return signal.MeansEnd(s.opts.Signal) && slices.ContainsFunc(s.watched, func(v *Signal) bool { return v.ended })
}

// Renew drops what podsignal has opened itself for a snapshot, and has the opening of the
// files that it shows noticed.
func (s *Set) Renew() {
	if s.opens == nil {
		return
	}
	s.opens.Seen()
	if s.opens.Renew() != nil {
		s.Close() // those of before would say that nothing was opened
	}
}

// Close gives the inotify instance back. The kernel takes some 10 ms for that.
func (s *Set) Close() {
	if s.opens != nil {
		_ = s.opens.Close() // nothing was written
		s.opens = nil
	}
}

// noteOpens credits what was opened to all whose effect is being watched.
func (s *Set) noteOpens() {
	if s.opens == nil || !s.opens.Seen() {
		return
	}
	for _, v := range s.watched {
		v.read = v.read || v.readable
	}
}

// look notes what is to be seen of the effect now, and tells whether the target is seen to
// have ended.
func (s *Set) look(v *Signal) (ended bool) {
	v.wait = min(max(2*v.wait, lookEvery[0]), lookEvery[1])
	v.next = time.Now().Add(v.wait)
	if end := v.sent.Add(s.opts.Within); end.Before(v.next) {
		v.next = end
	}
	if !v.ended && s.opts.Ended(v.target.Target) {
		v.ended, ended = true, true
	}
	if children, err := s.opts.Children(v.target.Target); err == nil && !v.ended {
		v.see(children)
	}
	if !s.opts.Settling() { // podsignal reads the files itself, at the end of a change
		s.noteOpens()
	}
	return ended
}

// see notes which of the target's children are new.
func (v *Signal) see(children map[int]bool) {
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

func (s *Set) result(v *Signal, newest time.Time) Result {
	seen := s.outcome(v, newest)
	v.target.Outcome = seen
	v.target.replaced = v.target.replaced || seen == Replaced
	return Result{Target: v.target, Digest: v.digest, Was: v.was, Outcome: seen}
}

// outcome is the strongest that was seen.
func (s *Set) outcome(v *Signal, newest time.Time) Outcome {
	whole := time.Since(v.sent) >= s.opts.Within
	switch {
	case v.ended && newest.After(v.sent):
		return Restarted
	case v.ended && signal.MeansEnd(s.opts.Signal):
		return Ended
	case v.ended:
		return Died
	case v.replaced:
		return Replaced
	case v.target.replaced && len(v.before) > 0 && !v.fresh && whole:
		return Kept
	case v.read:
		return Read
	default:
		return Unseen
	}
}
