package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Sync has all pods become live that can be by an update of their volumes, and returns the last
// report of each. Each has timeout, from its annotation. It is an error if the API has something else
// by then.
func (f *Fleet) Sync(ctx context.Context, timeout time.Duration, show func(*Progress)) ([]*Report, error) {
	return (&run{fleet: f, plan: plan{timeout: timeout, show: show}}).do(ctx)
}

// stayReady is for how long a pod is to be ready after a reload.
const stayReady = 10 * time.Second

// A Rollout says how HOLD's approvals are given.
type Rollout struct {
	Timeout time.Duration // for each pod, from its approval
	Batch   int           // pods at a time; 0: one, then a quarter of all
	All     bool          // approve in all of them at once
}

// Batches is how many of all pods are taken together: at first one, then a quarter, unless there is
// a size.
func batches(size int) func(first bool, all int) int {
	return func(first bool, all int) int {
		switch {
		case size > 0:
			return size
		case first:
			return 1
		default:
			return max(1, int(math.Ceil(float64(all)/4)))
		}
	}
}

// Rollout approves what the API has in some pods after the other, and stops at the first that does
// not become live, or ready. It returns the last report of each pod. The error is a StoppedError if it
// has stopped before the last batch, and a UsageError if a pod has no rule with HOLD.
func (f *Fleet) Rollout(ctx context.Context, o Rollout, show func(*Progress)) ([]*Report, error) {
	all, err := f.Status(ctx)
	if err != nil {
		return nil, err
	}
	var without []string
	before := make(map[types.UID]*Report)
	for _, r := range all {
		if len(r.Rules) > 0 && !r.holds() {
			without = append(without, r.Pod.Name)
		}
		before[r.Pod.UID] = r
	}
	if len(without) > 0 {
		const most = 3
		names := strings.Join(without[:min(most, len(without))], ", ")
		if more := len(without) - most; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		return nil, UsageError{Err: fmt.Errorf("%s: podsignal has no HOLD there, so that each pod takes a change as soon as its kubelet delivers it. "+
			`With the annotation podsignal/hold: "true" on the pod template, a change waits in each pod until its digest is approved. To bring pods without HOLD up to date, use kubectl podsignal sync`, names)}
	}
	r := &run{fleet: f, reports: before, plan: plan{timeout: o.Timeout, approve: true, stay: stayReady, show: show}}
	r.batch = batches(o.Batch)
	if o.All {
		r.batch = func(_ bool, all int) int { return all }
	}
	last, err := r.do(ctx)
	if untouched := len(slices.DeleteFunc(r.waiting, func(m *member) bool { return !r.counts(m) })); err == nil && untouched > 0 {
		err = &StoppedError{untouched}
	}
	return last, err
}

// A StoppedError says that a rollout has ended before all pods were approved.
type StoppedError struct{ Untouched int }

// Error implements error.
func (e *StoppedError) Error() string {
	return fmt.Sprintf("the rollout has stopped, and %s not approved: fix the files, apply them, and roll them out", count(e.Untouched, "was", "were"))
}

// ErrNoPods says that no pod counts.
var ErrNoPods = errors.New("none of the pods that are meant has podsignal: name others by -n, -l or TYPE/NAME, or add podsignal to these")
