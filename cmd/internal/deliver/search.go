package deliver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/memory"
	"github.com/podsignal/podsignal/signal"
)

// longSearch is how long a search may take until what was found is dealt with at
// once. After a longer one the events that came meanwhile are taken first: a change
// may be under way.
const longSearch = time.Millisecond

// search is when to look for targets, and what comes in the way of it.
type search struct {
	next       time.Time   // zero: it is not planned
	newcomers  []newcomers // searches for more of them, after a change
	recheck    time.Time   // when to check whether those have ended whose end is not reported
	noTarget   retrying    // that there is none
	targetGone backoff     // that targets end before they are signalled
}

// newcomers is a search for targets that were not there when the files changed, or did not have
// their name yet: an entrypoint may have read the files before the change and run the program
// after it.
type newcomers struct {
	at    time.Time
	find  finding
	whole bool // it misses nothing
}

// renew is for a change. What each search misses, a later one finds. A whole one that is planned
// remains so: files may change all the time.
func (s *search) renew(procs *processes) {
	now := time.Now()
	all := []newcomers{
		{now, procs.findStarted, false},
		{now.Add(time.Second), procs.findNew, false},
		{now.Add(5 * time.Second), procs.findNew, false},
		{now.Add(30 * time.Second), procs.find, true},
	}
	if i := slices.IndexFunc(s.newcomers, func(n newcomers) bool { return n.whole }); i >= 0 {
		all = append(all, s.newcomers[i])
	}
	slices.SortStableFunc(all, func(a, b newcomers) int { return a.at.Compare(b.at) })
	s.newcomers = all
	s.noTarget.renew()
	s.targetGone = backoff{}
}

// discover looks for targets when it is time for that, and delivers to those that are
// new. It returns when to look again; zero: never.
func (l *Loop) discover(ctx context.Context) time.Time {
	s, began := &l.search, time.Now()
	var find finding
	if len(s.newcomers) > 0 && !began.Before(s.newcomers[0].at) {
		if s.next.IsZero() { // else one is planned anyway
			find = s.newcomers[0].find
		}
		s.newcomers = s.newcomers[1:]
	}
	if !s.next.IsZero() && !began.Before(s.next) {
		find = l.env.procs.find
	}
	var next time.Time
	if find != nil {
		news := l.refresh(ctx, find)
		news = slices.DeleteFunc(news, l.readAtStart)
		if took := time.Since(began); took < longSearch {
			l.deliver(ctx, news)
		} else if len(news) > 0 {
			next = time.Now().Add(longSearch)
		}
		// Most garbage is that of searches. While files change, a signal must not wait for its
		// collection. And a pod in which nothing has ever changed needs least memory if it has
		// never collected any.
		if l.counts.Changes > 0 && l.whole() {
			memory.Collect()
		}
	}
	next = earlier(next, s.next)
	if len(s.newcomers) > 0 {
		next = earlier(next, s.newcomers[0].at)
	}
	return next
}

// refresh looks for targets and returns those that are new.
func (l *Loop) refresh(ctx context.Context, find finding) (news []*targetState) {
	found, err := find(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil || errors.Is(err, signal.ErrNoTarget) { // any other error says nothing about them
		news = l.adopt(found)
	}
	missing := &l.search.noTarget
	if err == nil {
		*missing, l.search.next = retrying{}, time.Time{}
		return news
	}
	level := slog.LevelInfo
	switch {
	case missing.lasts() || !errors.Is(err, signal.ErrNoTarget):
		level = slog.LevelWarn
	case l.verify.Restarting():
		level = slog.LevelDebug
	}
	if missing.allow(level) {
		l.log.Log(ctx, level, "no matching process, retrying", "tries", missing.tries, "err", err)
	}
	missing.fails(err)
	l.search.next = missing.retry(retryFind)
	return news
}
