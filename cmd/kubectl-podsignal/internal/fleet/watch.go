package fleet

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
)

// A podEvent says that a pod is new, or has changed, or is gone.
type podEvent struct {
	pod  *corev1.Pod
	gone bool
}

// A podWatch is one watch on all pods of a selection.
type podWatch struct {
	events chan podEvent
	synced chan struct{} // closed when all pods that were there at the start have been sent
	failed chan error    // the pods cannot be watched
}

// watch follows the pods until ctx is done.
func (f *Fleet) watch(ctx context.Context) (*podWatch, error) {
	w := &podWatch{make(chan podEvent), make(chan struct{}), make(chan error, 1)}
	send := func(object any, gone bool) {
		if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = unknown.Obj
		}
		pod, ok := object.(*corev1.Pod)
		if !ok || !f.selection.has(pod) {
			return
		}
		select {
		case w.events <- podEvent{pod, gone}:
		case <-ctx.Done():
		}
	}
	pods := f.client.CoreV1().Pods(f.selection.namespace)
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (list runtime.Object, err error) {
			o.LabelSelector = f.selection.labels
			err = f.limits.do(ctx, func() error {
				list, err = pods.List(ctx, o)
				return err
			})
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = f.selection.labels
			return pods.Watch(ctx, o)
		},
	}, new(corev1.Pod), 0, nil)
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { send(object, false) },
		UpdateFunc: func(_, object any) { send(object, false) },
		DeleteFunc: func(object any) { send(object, true) },
	})
	if err != nil {
		return nil, err
	}
	err = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if registration.HasSynced() && !sidecar.IsForbidden(err) {
			return // it is tried again
		}
		select {
		case w.failed <- fmt.Errorf("watching pods: %w", explain(err)):
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	go informer.RunWithContext(ctx)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			close(w.synced)
		}
	}()
	return w, nil
}
