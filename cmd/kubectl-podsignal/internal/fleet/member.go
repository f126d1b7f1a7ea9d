package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
)

// The annotations of pods that are set.
const (
	syncedKey   = "podsignal/synced-at" // has the kubelet look at the pod's volumes
	approvedKey = "podsignal/approved"  // what HOLD approves
)

const (
	// againAfter is when a pod is annotated again, if its kubelet has not delivered. It took 0.9 to
	// 1.2 s.
	againAfter = 5 * time.Second

	// askEvery is how often a pod is asked, at most. With many, each waits for its turn.
	askEvery = 250 * time.Millisecond
)

// A member is one pod on its way. Its goroutine belongs to a run.
type member struct {
	run    *run
	pod    atomic.Pointer[corev1.Pod] // as it is now
	cancel context.CancelCauseFunc    // of its goroutine; nil: it has not been started

	annotated time.Time // when it was annotated last; zero: it was not
	deadline  time.Time
	trouble   string // why it could not be annotated, the last time

	passed bool // it was annotated and has become live; of the run's goroutine
}

// bring has the pod become live, and returns its last report. An error is one that other pods would
// have too.
func (m *member) bring(ctx context.Context) (*Report, error) {
	r, err := m.deliver(ctx)
	if err != nil || r.Verdict != Live || m.annotated.IsZero() || m.run.stay == 0 {
		return r, err
	}
	m.run.report(ctx, m, r)
	return m.stay(ctx, r)
}

// deliver annotates the pod as often as is needed until it has a verdict that lasts.
func (m *member) deliver(ctx context.Context) (*Report, error) {
	for {
		r, err := m.run.fleet.inspect(ctx, m.pod.Load())
		if err != nil {
			return nil, err
		}
		if m.deadline.IsZero() { // the wait for its turn does not count
			m.deadline = time.Now().Add(m.run.timeout)
		}
		if m.lasts(r) {
			return r, nil
		}
		if time.Now().After(m.deadline) {
			if r.Verdict == Live {
				r.Verdict = Waiting // as far as is known from other pods alone, which is not enough
			}
			r.Reason = strings.TrimPrefix(fmt.Sprintf("%s; it is not live after %v", cmp.Or(r.Reason, m.trouble), m.run.timeout), "; ")
			return r, nil
		}
		if m.lacks(r) && time.Since(m.annotated) >= againAfter {
			first := m.annotated.IsZero()
			if first && m.run.stopped.Load() {
				return r, nil
			}
			if !first {
				if err := m.run.unchanged(ctx); err != nil {
					return nil, err
				}
			}
			if err := m.annotate(ctx, r); err != nil {
				return nil, err
			}
			if m.annotated = time.Now(); first {
				m.deadline = m.annotated.Add(m.run.timeout)
			}
		}
		m.run.report(ctx, m, r)
		if err := sleep(ctx, max(askEvery, time.Duration(m.run.active.Load())*time.Second/maxPerSecond)); err != nil {
			return nil, err
		}
	}
}

// lasts tells whether nothing is to be awaited of the pod.
func (m *member) lasts(r *Report) bool {
	switch {
	case !r.Verdict.Counts():
		return true
	case r.waits() && !m.run.approve:
		return false // whatever has become of its other rules
	case r.Verdict.Failed() || r.undeliverable():
		return true
	case r.Verdict == Live:
		// What is known from other pods alone may be older in all of them.
		delivered := !m.annotated.IsZero() && m.trouble == "" && time.Since(m.annotated) >= againAfter
		return !r.compared() || delivered
	case r.Verdict == Held:
		return !m.run.approve && !approved(m.pod.Load(), r.approvals())
	}
	return false
}

// lacks tells whether an annotation would help.
func (m *member) lacks(r *Report) bool {
	switch {
	case len(r.Rules) == 0 || m.run.approve && !r.holds():
		return false
	case m.trouble != "":
		return true
	case r.waits() || r.compared() && m.annotated.IsZero():
		return true
	case m.run.approve:
		return m.annotated.IsZero() || r.Verdict == Held
	}
	return false
}

// annotate has the kubelet update the pod's volumes. What prevents it in this pod alone is
// told when its time is over: it is tried again.
func (m *member) annotate(ctx context.Context, r *Report) error {
	pod := m.pod.Load()
	set := map[string]string{syncedKey: time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}
	if m.run.approve {
		set[approvedKey] = r.approvals()
	}
	// With its UID, so that a pod which has taken the name is left alone.
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": set, "uid": pod.UID}})
	if err != nil {
		return err
	}
	m.trouble = ""
	err = m.run.fleet.limits.do(ctx, func() error {
		_, err := m.run.fleet.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-podsignal"})
		return err
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case sidecar.IsForbidden(err):
		return fmt.Errorf("annotating pod %s: %w", pod.Name, explain(err))
	case err != nil && !apierrors.IsNotFound(err): // one that is gone is told by the watch
		m.trouble = fmt.Sprintf("it cannot be annotated: %v", err)
	}
	return nil
}

// stay waits until a pod that is live has been ready for as long as the run says, and is live still.
func (m *member) stay(ctx context.Context, r *Report) (*Report, error) {
	tell := func(why string) (*Report, error) {
		last := *r
		last.Verdict, last.Reason = Pending, why
		return &last, nil
	}
	var since time.Time // that it is ready
	for since.IsZero() || time.Since(since) < m.run.stay {
		pod := m.pod.Load()
		if uncounted(pod, r.Sidecar) != "" {
			break
		}
		switch is := ready(pod); {
		case is && since.IsZero():
			since = time.Now()
		case !is && !since.IsZero():
			return tell(fmt.Sprintf("it became unready %v after the reload", time.Since(since).Truncate(time.Second)))
		case !is && time.Now().After(m.deadline):
			return tell(fmt.Sprintf("it is not ready after %v", m.run.timeout))
		}
		if err := sleep(ctx, askEvery); err != nil {
			return nil, err
		}
	}
	return m.run.fleet.inspect(ctx, m.pod.Load())
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
