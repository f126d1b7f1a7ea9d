package deliver

import (
	"reflect"
	"time"
)

// publishSlack is how much later than it wants to the loop may turn, and how much of that is
// not worth publishing its status anew.
const publishSlack = 5 * time.Second

// published is what was published last.
type published struct {
	status *Status
	due    time.Time
}

// publish has others see the status, if it has changed, and by when it will be published again
// unless the loop is stuck: it turns at next (zero: unplanned), and at each full look at the files.
func (l *Loop) publish(next time.Time) {
	if l.env.publish == nil {
		return
	}
	if resync := l.rule.Files.Resync; resync > 0 {
		next = earlier(next, time.Now().Add(resync))
	}
	var due time.Time
	if !next.IsZero() {
		due = next.Add(publishSlack)
	}
	last := &l.published
	later := due.IsZero() != last.due.IsZero() || due.Sub(last.due) >= publishSlack
	s := l.describe()
	if !later && reflect.DeepEqual(s, last.status) {
		return
	}
	*last = published{s, due}
	l.env.publish(s, due)
}
