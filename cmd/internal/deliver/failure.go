package deliver

import (
	"log/slog"
	"time"
)

// patience is how long something may be missing before that is a warning.
const patience = 30 * time.Second

// A failure is that something fails.
type failure struct {
	began time.Time // whatever the files have shown since; zero: all is well
	since time.Time // with what the files show now
	err   error     // of the last attempt
}

// fails notes that an attempt has failed.
func (f *failure) fails(err error) {
	now := time.Now()
	if f.since.IsZero() {
		f.since = now
	}
	if f.began.IsZero() {
		f.began = now
	}
	f.err = err
}

// lasts tells whether it has gone on for so long that somebody should know.
func (f *failure) lasts() bool {
	return !f.since.IsZero() && time.Since(f.since) >= patience
}

// How long to wait after a failure: from the first of the two times, doubling, to
// the second.
var (
	retryFind  = [2]time.Duration{100 * time.Millisecond, 5 * time.Second}
	retrySend  = [2]time.Duration{100 * time.Millisecond, time.Minute}
	retryReady = [2]time.Duration{20 * time.Millisecond, time.Second} // handlers come soon
)

// A backoff is the time of the next attempt.
type backoff struct {
	next time.Time
	wait time.Duration
}

// retry plans the attempt after one that failed, and returns when that is.
func (b *backoff) retry(times [2]time.Duration) time.Time {
	b.wait = min(max(2*b.wait, times[0]), times[1])
	b.next = time.Now().Add(b.wait)
	return b.next
}

// repeatAfter is after what time a warning is logged again while it lasts: from the first
// of the times, doubling, to the second.
var repeatAfter = [2]time.Duration{5 * time.Minute, time.Hour}

// A logLimit limits the lines about one failure.
type logLimit struct {
	level slog.Level // the highest so far
	again time.Time  // when to log a warning again
	pause time.Duration
	tries int
}

// allow tells whether to log the failure at level: each level once, and a warning again at
// growing intervals.
func (l *logLimit) allow(level slog.Level) bool {
	l.tries++
	first, again := l.tries == 1, level >= slog.LevelWarn && !time.Now().Before(l.again)
	if !first && level <= l.level && !again {
		return false
	}
	l.level = level
	l.pause = min(max(2*l.pause, repeatAfter[0]), repeatAfter[1])
	l.again = time.Now().Add(l.pause)
	return true
}

// retrying is something that fails, and is tried again.
type retrying struct {
	failure
	backoff
	logLimit
}

// renew is for other content: that is tried at once, and logged anew, but the failure has
// begun when it did.
func (r *retrying) renew() {
	*r = retrying{failure: failure{began: r.began, err: r.err}}
}
