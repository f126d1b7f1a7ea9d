// Package fleet knows how far the pods of a selection have come: which of them run what the API has,
// and why the others do not. It brings them there.
package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/volume"
)

// A Fleet is the pods of a selection, seen by one API server.
type Fleet struct {
	client    kubernetes.Interface
	executor  *sidecar.Executor
	limits    *limits
	selection *selection
	objects   *volume.Objects // as they were when they were read first
	newest    newest
}

// New finds out which pods are meant.
func New(ctx context.Context, q *Query) (*Fleet, error) {
	config, err := q.Flags.ToRESTConfig()
	if err != nil {
		return nil, UsageError{Err: err}
	}
	config.QPS = -1 // limits has those of all requests
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	selection, err := q.selectPods(ctx, client)
	if err != nil {
		return nil, err
	}
	limits := newLimits()
	return &Fleet{
		client: client, limits: limits, selection: selection,
		executor: sidecar.NewExecutor(config, client.CoreV1().RESTClient()),
		objects:  volume.NewObjects(client, limits.do),
	}, nil
}

// explain adds to an error that a right is missing where to find it.
func explain(err error) error {
	if sidecar.IsForbidden(err) {
		return fmt.Errorf("%w: examples/fleet has the roles that give this right", err)
	}
	return err
}

// pods are those of the selection, in the order of their names.
func (f *Fleet) pods(ctx context.Context) (all []*corev1.Pod, err error) {
	list := pager.New(func(ctx context.Context, o metav1.ListOptions) (page runtime.Object, err error) {
		err = f.limits.do(ctx, func() error {
			page, err = f.client.CoreV1().Pods(f.selection.namespace).List(ctx, o)
			return err
		})
		return page, err
	})
	err = list.EachListItem(ctx, metav1.ListOptions{LabelSelector: f.selection.labels}, func(item runtime.Object) error {
		if pod := item.(*corev1.Pod); f.selection.has(pod) {
			all = append(all, pod)
		}
		return nil
	})
	if err != nil {
		return nil, explain(err)
	}
	slices.SortFunc(all, byName)
	return all, nil
}

func byName(a, b *corev1.Pod) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Status reports how far each pod has come.
func (f *Fleet) Status(ctx context.Context) ([]*Report, error) {
	pods, err := f.pods(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]*Report, len(pods))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxInFlight)
	for i, pod := range pods {
		group.Go(func() (err error) {
			all[i], err = f.inspect(ctx, pod)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, r := range all {
		f.judge(r) // now that it is known what the newest is
	}
	return all, nil
}

// inspect asks the podsignal of a pod. An error is one that other pods would have too.
func (f *Fleet) inspect(ctx context.Context, pod *corev1.Pod) (*Report, error) {
	r := &Report{Pod: pod, Sidecar: sidecar.Find(&pod.Spec)}
	if r.Verdict = uncounted(pod, r.Sidecar); r.Verdict != "" {
		return r, nil
	}
	r.Verdict = Pending
	if r.Reason = notRunning(pod, r.Sidecar.Container.Name); r.Reason != "" {
		return r, nil
	}
	var rules []sidecar.Status
	err := f.limits.do(ctx, func() (err error) {
		rules, err = f.executor.Status(ctx, pod, r.Sidecar)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case sidecar.IsForbidden(err):
		return nil, explain(err)
	case apierrors.IsNotFound(err):
		r.Verdict = Deleted
		return r, nil
	case err != nil:
		r.Reason = fmt.Sprintf("podsignal cannot be asked: %v", err)
		return r, nil
	}
	for i := range rules {
		paths, err := f.paths(ctx, r, &rules[i])
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			r.Rules, r.Reason = nil, err.Error()
			return r, nil
		}
		r.Rules = append(r.Rules, Rule{Status: rules[i], Paths: paths})
	}
	f.judge(r)
	return r, nil
}

// paths are those of a rule, with what they are to show.
func (f *Fleet) paths(ctx context.Context, r *Report, s *sidecar.Status) (all []Path, err error) {
	for _, p := range s.Paths {
		wanted, err := volume.Of(ctx, f.objects, r.Pod, r.Sidecar.Container, p.Path, s.Exclude)
		if err != nil {
			return nil, err
		}
		if wanted.Same != "" && s.OnDisk != nil {
			f.newest.add(wanted.Same, p.Digest, s.OnDisk.Since)
		}
		all = append(all, Path{Path: p, wanted: wanted})
	}
	return all, nil
}

// judge gives a pod that was asked its verdict.
func (f *Fleet) judge(r *Report) {
	if len(r.Rules) == 0 {
		return
	}
	r.Verdict = Live
	for i := range r.Rules {
		rule := &r.Rules[i]
		for k := range rule.Paths {
			p := &rule.Paths[k]
			p.Wanted, p.Known = f.newest.want(p)
		}
		rule.Verdict, rule.Reason = rule.judge()
		r.Verdict = worst(r.Verdict, rule.Verdict)
	}
}

// uncounted is the verdict of a pod that does not count; empty: it does.
func uncounted(pod *corev1.Pod, s *sidecar.Sidecar) Verdict {
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return Completed
	case pod.DeletionTimestamp != nil:
		return Deleted
	case s == nil:
		return Without
	}
	return ""
}

// notRunning is why a container of a pod does not run; empty: it does.
func notRunning(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if c.Name != container {
			continue
		}
		switch {
		case c.State.Running != nil:
			return ""
		case c.State.Waiting != nil:
			return fmt.Sprintf("the container %s is waiting: %s", container, c.State.Waiting.Reason)
		case c.State.Terminated != nil:
			return fmt.Sprintf("the container %s has ended: %s", container, c.State.Terminated.Reason)
		}
	}
	if pod.Spec.NodeName == "" {
		return "the pod has no node yet"
	}
	return fmt.Sprintf("the container %s has not started yet", container)
}

// Unreadable says which objects may not be read, so that pods are compared with each other.
func (f *Fleet) Unreadable() []string { return f.objects.Forbidden() }
