package deliver

import (
	"reflect"
	"time"
)

const (
	// publishSlack is how much later than it wants to the loop may turn, and how much of that
	// is not worth publishing its status anew.
	publishSlack = 5 * time.Second

	// publishWithin is how late a status may be published: when a signal has been sent, the
	// loop turns again in a few milliseconds, and has other things to do.
	publishWithin = time.Second

	// quietFor is how long the loop has to rest after a turn that is worth publishing.
	quietFor = 200 * time.Millisecond
)

// published is what was published last.
type published struct {
	status  *Status
	due     time.Time
	rejects bool      // something is rejected
	waiting time.Time // since when the loop has not rested; zero: it has
}

// publish has others see the status, if it has changed, and by when it will be published again
// unless the loop is stuck: it turns at next (zero: unplanned), and at each full look at the files.
func (l *Loop) publish(next time.Time) {
	if l.env.publish == nil {
		return
	}
	last, now, rejects := &l.published, time.Now(), l.rejects()
	rests := next.IsZero() || next.Sub(now) >= quietFor
	if !rests && rejects == last.rejects { // else that is news
		last.waiting = since(last.waiting, true)
		if now.Sub(last.waiting) < publishWithin {
			return
		}
	}
	last.waiting = time.Time{}
	if resync := l.rule.Files.Resync; resync > 0 {
		next = earlier(next, now.Add(resync))
	}
	var due time.Time
	if !next.IsZero() {
		due = next.Add(publishSlack)
	}
	later := due.IsZero() != last.due.IsZero() || due.Sub(last.due) >= publishSlack
	s := l.describe()
	if !later && reflect.DeepEqual(s, last.status) {
		return
	}
	last.status, last.due, last.rejects = s, due, rejects
	l.env.publish(s, due)
}
