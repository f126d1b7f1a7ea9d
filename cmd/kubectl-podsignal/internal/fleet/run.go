package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
)

// A plan says how pods are brought to what the API has.
type plan struct {
	timeout time.Duration // for each pod, from its annotation
	approve bool          // what HOLD holds
	stay    time.Duration // for which a pod is to be ready once it is live

	// batch is how many of all pods that count are on their way together; nil: all, also those that
	// come later. If one of a batch does not become live, there is no other.
	batch func(first bool, all int) int
	show  func(*Progress)
}

// A run brings all pods of a fleet to what the API has at its start. One goroutine owns it; each
// pod that is on its way has one too.
type run struct {
	plan
	fleet *Fleet

	members map[types.UID]*member
	reports map[types.UID]*Report // the last of each, also of those that are gone, or were asked before
	waiting []*member             // that have not been started
	begun   bool                  // a batch has been started
	active  atomic.Int64          // that are on their way
	stopped atomic.Bool           // no other pod is to be touched
	moves   chan move

	mu      sync.Mutex
	checked time.Time // when the API was last seen to be unchanged
}

// A move is what a member has to tell.
type move struct {
	member *member
	report *Report
	done   bool
	err    error
}

// Progress is how far all of them have come.
type Progress struct {
	Report *Report          // of the pod that has moved; nil: a second has passed
	Done   bool             // it has the verdict that it keeps
	All    func() []*Report // the last of each pod
}

// errGone is the cause of the end of a member whose pod is gone.
var errGone = errors.New("the pod is gone")

// do returns the last report of each pod.
func (r *run) do(ctx context.Context) ([]*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	var members sync.WaitGroup
	defer members.Wait()
	defer cancel()
	w, err := r.fleet.watch(ctx)
	if err != nil {
		return nil, err
	}
	r.members = make(map[types.UID]*member)
	if r.reports == nil {
		r.reports = make(map[types.UID]*Report)
	}
	r.moves = make(chan move)
	r.checked = time.Now()
	start := func(m *member) {
		var own context.Context
		own, m.cancel = context.WithCancelCause(ctx)
		r.active.Add(1)
		members.Go(func() {
			report, err := m.bring(own)
			if err != nil && own.Err() != nil {
				err = context.Cause(own)
			}
			r.send(ctx, move{m, report, true, err})
		})
	}
	synced := w.synced
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if r.active.Load() == 0 && synced == nil {
			batch := r.next()
			if len(batch) == 0 {
				break
			}
			for _, m := range batch {
				start(m)
			}
		}
		select {
		case e := <-w.events:
			if m := r.see(e); m != nil && r.batch == nil {
				start(m)
			} else if m != nil {
				r.waiting = append(r.waiting, m)
			}
		case m := <-r.moves:
			if err := r.moved(m); err != nil {
				return r.all(), err
			}
		case <-synced:
			synced = nil
			slices.SortFunc(r.waiting, func(a, b *member) int { return byName(a.pod.Load(), b.pod.Load()) })
		case <-tick.C:
			r.show(&Progress{All: r.all})
		case err := <-w.failed:
			return r.all(), err
		case <-ctx.Done():
			return r.all(), context.Cause(ctx)
		}
	}
	if err := r.unchanged(ctx); err != nil {
		return r.all(), err
	}
	all := r.all()
	for _, report := range all {
		if report.compared() && report.Reason == "" {
			r.fleet.judge(report)
		}
	}
	return all, nil
}

// see notes an event, and returns the pod if it is new.
func (r *run) see(e podEvent) *member {
	uid := e.pod.UID
	m := r.members[uid]
	if m == nil {
		if e.gone {
			return nil
		}
		m = &member{run: r}
		m.pod.Store(e.pod)
		r.members[uid] = m
		return m
	}
	m.pod.Store(e.pod)
	if e.gone {
		delete(r.members, uid)
		r.waiting = slices.DeleteFunc(r.waiting, func(other *member) bool { return other == m })
		if m.cancel != nil {
			m.cancel(errGone)
		}
		gone := Report{Pod: e.pod}
		if last := r.reports[uid]; last != nil {
			gone = *last
		}
		gone.Verdict, gone.Reason = Deleted, ""
		r.reports[uid] = &gone
	}
	return nil
}

// next are the members that are to be started together.
func (r *run) next() []*member {
	if r.batch == nil {
		return nil
	}
	r.watchDone()
	if r.stopped.Load() {
		return nil
	}
	counted := 0
	for _, m := range r.members {
		if r.counts(m) {
			counted++
		}
	}
	room := r.batch(!r.begun, counted)
	var batch, rest []*member
	for _, m := range r.waiting {
		switch {
		case !r.counts(m) || r.live(m):
			batch = append(batch, m) // nothing is done to it
		case room > 0:
			room--
			r.begun = true
			batch = append(batch, m)
		default:
			rest = append(rest, m)
		}
	}
	r.waiting = rest
	return batch
}

// watchDone stops the run if a pod of an earlier batch is not ready any more.
func (r *run) watchDone() {
	for uid, m := range r.members {
		if !m.passed || !r.counts(m) || ready(m.pod.Load()) {
			continue
		}
		m.passed = false
		last := *r.reports[uid]
		last.Verdict, last.Reason = Pending, "it became unready after its batch"
		r.reports[uid] = &last
		r.stopped.Store(true)
		r.show(&Progress{&last, true, r.all})
	}
}

func (r *run) counts(m *member) bool {
	pod := m.pod.Load()
	return uncounted(pod, sidecar.Find(&pod.Spec)) == ""
}

// live tells whether the pod was so when it was asked last. What is known from other pods alone does
// not count: all of them may run what is old.
func (r *run) live(m *member) bool {
	report := r.reports[m.pod.Load().UID]
	return report != nil && report.Verdict == Live && !report.compared()
}

// moved notes what a member tells.
func (r *run) moved(m move) error {
	if m.done {
		r.active.Add(-1)
	}
	uid := m.member.pod.Load().UID
	switch {
	case errors.Is(m.err, errGone):
		r.show(&Progress{r.reports[uid], true, r.all})
		return nil
	case m.err != nil:
		return m.err
	case r.members[uid] == nil && m.report.Verdict.Counts():
		return nil // it is gone
	}
	r.reports[uid] = m.report
	m.member.passed = m.done && m.report.Verdict == Live && !m.member.annotated.IsZero()
	if m.done && r.batch != nil && m.report.Verdict.Counts() && m.report.Verdict != Live {
		r.stopped.Store(true)
	}
	r.show(&Progress{m.report, m.done, r.all})
	return nil
}

// report tells how far a member has come that goes on.
func (r *run) report(ctx context.Context, m *member, report *Report) {
	r.send(ctx, move{member: m, report: report})
}

func (r *run) send(ctx context.Context, m move) {
	select {
	case r.moves <- m:
	case <-ctx.Done():
	}
}

// all are the reports, in the order of the pods' names.
func (r *run) all() []*Report {
	all := make([]*Report, 0, len(r.reports))
	for _, report := range r.reports {
		all = append(all, report)
	}
	sortReports(all)
	return all
}

// unchanged is an error if the API has something else than at the start. It is not asked more often
// than the pods are annotated.
func (r *run) unchanged(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active.Load() > 0 && time.Since(r.checked) < againAfter {
		return nil
	}
	names, err := r.fleet.objects.Changed(ctx)
	if err != nil {
		return explain(err)
	}
	if len(names) > 0 {
		return fmt.Errorf("%s changed meanwhile: run it again for what it has now", strings.Join(names, " and "))
	}
	r.checked = time.Now()
	return nil
}
