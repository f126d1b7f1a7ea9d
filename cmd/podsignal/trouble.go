package main

import (
	"log/slog"
	"time"
)

// patience is how long something may be missing before that is a warning.
const patience = 30 * time.Second

// How long to wait after a failure: from the first of the two times, doubling, to
// the second.
var (
	retryFind  = [2]time.Duration{100 * time.Millisecond, 5 * time.Second}
	retrySend  = [2]time.Duration{100 * time.Millisecond, time.Minute}
	retryReady = [2]time.Duration{20 * time.Millisecond, time.Second} // handlers come soon
)

// sayAgain is after what time a warning is said again while it lasts: from the first
// of the times, doubling, to the second.
var sayAgain = [2]time.Duration{5 * time.Minute, time.Hour}

// trouble is something that fails, and is tried again.
type trouble struct {
	began time.Time // whatever the files have shown since; zero: all is well
	err   error     // of the last attempt
	since time.Time // with what the files show now
	next  time.Time // when to try again
	wait  time.Duration
	said  slog.Level // the highest level at which it has been told
	again time.Time  // when to say a warning again
	pause time.Duration
	tries int
}

// worse tells whether to log the trouble at level: each level once, and a warning
// again at growing intervals.
func (t *trouble) worse(level slog.Level) bool {
	t.tries++
	first, again := t.since.IsZero(), level >= slog.LevelWarn && !time.Now().Before(t.again)
	if !first && level <= t.said && !again {
		return false
	}
	t.said = level
	t.pause = min(max(2*t.pause, sayAgain[0]), sayAgain[1])
	t.again = time.Now().Add(t.pause)
	return true
}

// fails notes that an attempt has failed.
func (t *trouble) fails(err error) {
	now := time.Now()
	if t.since.IsZero() {
		t.since = now
	}
	if t.began.IsZero() {
		t.began = now
	}
	t.err = err
}

// renew is for other content: that is tried at once, and told about anew, but the
// trouble has begun when it did.
func (t *trouble) renew() { *t = trouble{began: t.began, err: t.err} }

// retry plans the attempt after one that failed, and returns when that is.
func (t *trouble) retry(times [2]time.Duration, err error) time.Time {
	t.fails(err)
	t.wait = min(max(2*t.wait, times[0]), times[1])
	t.next = time.Now().Add(t.wait)
	return t.next
}

// lasts tells whether the trouble has gone on for so long that somebody should know.
func (t *trouble) lasts() bool {
	return !t.since.IsZero() && time.Since(t.since) >= patience
}
