package verify

import (
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// lookEvery is how often a signalled target is looked at whose effect no event would tell: from
// the first of the times, doubling, to the second. Most that die do so within 80 ms.
var lookEvery = [2]time.Duration{10 * time.Millisecond, 500 * time.Millisecond}

// Believed is the time after a signal from which on people should know that its effect has not
// come. Until then it is watched: a program may take longer to load than VERIFY.
const Believed = 30 * time.Second

// Options say what to watch, and how.
type Options struct {
	Within time.Duration  // for how long, after each signal (VERIFY); 0: not at all
	Signal syscall.Signal // that is sent
	Expect Expect         // what it must lead to

	Children func(*signal.Target) (map[int]bool, error)
	Ended    func(*signal.Target) bool
	Watched  func(*signal.Target) bool // its end leads to Wake
	Await    func(fd int) error        // leads to Wake too, once, when fd can be read
	Opens    func() (*watcher.Opens, error)
	Settling func() bool // the files are changing just now, and podsignal reads them itself
}

// A Set watches the effects of signals. It belongs to one goroutine.
type Set struct {
	opts    Options
	watched []*Signal
	paused  bool
	awaits  bool           // that a file is opened leads to Wake
	woken   bool           // the next Look is for all
	opens   *watcher.Opens // for all of these, since there are few instances on a node; nil: there are none, or it is unavailable
}

// A Signal is one whose effect is watched.
type Signal struct {
	target      *Target
	digest, was string
	sent        time.Time
	next        time.Time // when to look again

	before   map[int]bool // the target's children before the signal
	old      bool         // at the last look some of these were left
	fresh    bool         // at one look there were others among them
	replaced bool         // at one look there were only others
	ended    bool
	readable bool // that files are opened is noticed
	read     bool
	reported bool // as Refused: it is watched on, since it may only be slow
}

// A Result is what became of a signal.
type Result struct {
	Target  *Target
	Digest  string // that it was sent for
	Was     string // that the target had before
	Sent    time.Time
	Outcome Outcome
	Unread  bool // in all of its time none of the watched files was opened, as far as that is noticed
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
		if !other.reported {
			results = append(results, s.result(other, newest))
		}
		return true
	})
	v.sent = time.Now()
	v.target.Outcome = ""
	s.watched = append(s.watched, v)
	// Most programs read at once, so that the first look is the only one. What has not been read
	// by then is awaited. (That of before may have ended with its targets.)
	s.awaits = false
	s.plan(v)
	s.judge(v)
	return results
}

// Look checks the targets whose turn it is. It returns the results of the signals whose
// time is over, and of those that were refused and are not any more; and whether a target was
// seen to have ended, so that its successor should be looked for. newest is when the newest of
// the targets was found.
func (s *Set) Look(newest time.Time) (results []Result, ended bool) {
	woken := s.woken
	s.woken = false
	var going []*Signal
	for _, v := range s.watched {
		over := s.over(v) && !v.reported
		due := over || !time.Now().Before(v.next)
		if due || woken {
			ended = s.look(v, due) || ended
		}
		switch {
		case over:
			r := s.result(v, newest)
			results = append(results, r)
			if v.reported = r.Outcome == Refused; v.reported {
				going = append(going, v)
			}
		case v.reported && (v.ended || s.corrected(v)):
			results = append(results, s.result(v, newest))
		case v.reported && time.Since(v.sent) >= Believed:
		default:
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

// over tells whether the time for an effect is over.
func (s *Set) over(v *Signal) bool { return time.Since(v.sent) >= s.opts.Within }

// corrected tells whether a signal that was reported as refused has had its effect after all.
func (s *Set) corrected(v *Signal) bool {
	replacedByNone := len(v.before) > 0 && !v.old && v.read
	return s.sufficient(v) || replacedByNone
}

// Watches tells whether a signal to this target is being watched whose outcome is open.
func (s *Set) Watches(target *Target) bool {
	return slices.ContainsFunc(s.watched, func(v *Signal) bool { return v.target == target && !v.reported })
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

// Wake has all looked at by the next Look: a target has ended, or a file was opened.
func (s *Set) Wake() { s.awaits, s.woken = false, true }

// Restarting tells whether a target has ended just now, as the signal asks.
func (s *Set) Restarting() bool {
	return signal.MeansEnd(s.opts.Signal) && slices.ContainsFunc(s.watched, func(v *Signal) bool { return v.ended })
}

// look notes what is to be seen of the effect now, and tells whether the target is seen to
// have ended. Unless it is due, what was opened does not count yet: whoever opens a file may be
// about to write to it, and then it is no effect of the signal.
func (s *Set) look(v *Signal, due bool) (ended bool) {
	if !v.ended && s.opts.Ended(v.target.Target) {
		v.ended, ended = true, true
	}
	if !v.ended && len(v.before) > 0 {
		if children, err := s.opts.Children(v.target.Target); err == nil {
			v.see(children)
		}
	}
	if due && !s.opts.Settling() {
		s.noteOpens()
		s.await()
	}
	s.plan(v)
	s.judge(v)
	return ended
}

// plan says when to look again: when the time for an effect is over, and when its absence
// counts. Until then less and less often, if there is something that no event will tell.
func (s *Set) plan(v *Signal) {
	now := time.Now()
	v.next = now.Add(min(max(now.Sub(v.sent), lookEvery[0]), lookEvery[1]))
	told := s.told(v)
	for _, end := range []time.Time{v.sent.Add(Believed), v.sent.Add(s.opts.Within)} {
		if now.Before(end) && (told || end.Before(v.next)) {
			v.next, told = end, false
		}
	}
}

// told tells whether events tell of all that may still be seen of a signal's effect.
func (s *Set) told(v *Signal) bool {
	if v.ended {
		return true
	}
	replaced := v.replaced || v.fresh && s.opts.Expect == ExpectReplaced
	read := v.read || !v.readable || s.awaits
	return s.opts.Watched(v.target.Target) && (replaced || len(v.before) == 0) && read
}

// judge notes the evidence that a target runs what it was signalled for.
func (s *Set) judge(v *Signal) {
	if !v.reported && s.sufficient(v) {
		v.target.Runs(v.digest)
	}
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
	v.old = fresh < len(children)
	v.fresh = v.fresh || fresh > 0
	v.replaced = v.replaced || fresh > 0 && !v.old
}

func (s *Set) result(v *Signal, newest time.Time) Result {
	r := Result{
		Target: v.target, Digest: v.digest, Was: v.was, Sent: v.sent,
		Outcome: s.outcome(v, newest), Unread: v.readable && !v.read && s.over(v),
	}
	t := v.target
	t.Outcome = r.Outcome
	t.replaced = t.replaced || r.Outcome == Replaced
	switch r.Outcome {
	case Died, Refused:
		t.Rejects(v.digest, r.Outcome)
	case Replaced, Read:
		if v.read || !v.readable {
			t.Runs(v.digest)
		}
	}
	return r
}
