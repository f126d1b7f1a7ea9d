package fleet

import (
	"context"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
)

// Sent is how podsignal send has ended in a pod.
type Sent struct {
	Pod     *corev1.Pod
	Skipped Verdict // why it was not run: the pod does not count; empty: it was
	Output  string  // its lines
	Failed  bool
}

// Send runs podsignal send with these arguments in all pods, as many at a time as batch says, or one
// and then a quarter of them if it is 0. It ends with the batch in which the first fails. Show is
// called for each pod, one at a time.
func (f *Fleet) Send(ctx context.Context, batch int, args []string, show func(Sent)) error {
	all, err := f.pods(ctx)
	if err != nil {
		return err
	}
	var counted []*corev1.Pod
	for _, pod := range all {
		if v := uncounted(pod, sidecar.Find(&pod.Spec)); v != "" {
			show(Sent{Pod: pod, Skipped: v})
			continue
		}
		counted = append(counted, pod)
	}
	if len(counted) == 0 {
		return ErrNoPods
	}
	size := batches(batch)
	for begun, rest := false, counted; len(rest) > 0; begun = true {
		n := min(len(rest), size(!begun, len(counted)))
		failed, err := f.sendAll(ctx, rest[:n], args, show)
		rest = rest[n:]
		if err != nil {
			return err
		}
		if failed > 0 {
			return fmt.Errorf("podsignal send has failed in %s; it was not run in %d", pods(failed), len(rest))
		}
	}
	return nil
}

// sendAll runs it in some pods together, and returns in how many it has failed.
func (f *Fleet) sendAll(ctx context.Context, batch []*corev1.Pod, args []string, show func(Sent)) (failed int, err error) {
	results := make(chan Sent)
	var running sync.WaitGroup
	for _, pod := range batch {
		running.Go(func() { results <- f.send(ctx, pod, args) })
	}
	go func() {
		running.Wait()
		close(results)
	}()
	for r := range results {
		if r.Failed {
			failed++
		}
		show(r)
	}
	return failed, context.Cause(ctx)
}

func (f *Fleet) send(ctx context.Context, pod *corev1.Pod, args []string) Sent {
	s := sidecar.Find(&pod.Spec)
	result := Sent{Pod: pod}
	err := f.limits.do(ctx, func() error {
		stdout, stderr, exit, err := f.executor.Run(ctx, pod, s, append([]string{"send"}, args...)...)
		result.Output, result.Failed = strings.TrimSpace(stdout+stderr), exit != 0
		return err
	})
	if err != nil {
		result.Output, result.Failed = explain(err).Error(), true
	}
	return result
}
