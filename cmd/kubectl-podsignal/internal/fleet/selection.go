package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes"
)

// A Query says which pods are meant, as for kubectl get.
type Query struct {
	Flags         *genericclioptions.ConfigFlags
	AllNamespaces bool
	Selector      string   // of the objects that Args name, or else of pods
	Args          []string // TYPE/NAME of pods, or of what owns them; none: all pods
}

// A selection is the pods that are meant.
type selection struct {
	namespace string // empty: all
	labels    string // what all of them have, for the API server
	owners    []owner
	all       bool // and not only those of owners
}

// An owner is an object that pods belong to, or a pod.
type owner struct {
	name      string // TYPE/NAME
	namespace string
	pod       string // its name, if it is one
	labels    labels.Selector
	jobs      map[types.UID]bool // of a CronJob
}

func (o *owner) has(pod *corev1.Pod) bool {
	switch {
	case o.namespace != pod.Namespace:
		return false
	case o.pod != "":
		return pod.Name == o.pod
	case o.jobs != nil:
		by := metav1.GetControllerOf(pod)
		return by != nil && o.jobs[by.UID]
	default:
		return o.labels.Matches(labels.Set(pod.Labels))
	}
}

func (s *selection) has(pod *corev1.Pod) bool {
	return s.all || slices.ContainsFunc(s.owners, func(o owner) bool { return o.has(pod) })
}

// A UsageError says that the command line cannot be used.
type UsageError struct{ Err error }

// Error implements error.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e UsageError) Unwrap() error { return e.Err }

// selectPods finds out which pods are meant.
func (q *Query) selectPods(ctx context.Context, client kubernetes.Interface) (*selection, error) {
	s := new(selection)
	if !q.AllNamespaces {
		namespace, _, err := q.Flags.ToRawKubeConfigLoader().Namespace()
		if err != nil {
			return nil, err
		}
		s.namespace = namespace
	}
	if len(q.Args) == 0 {
		if _, err := labels.Parse(q.Selector); err != nil {
			return nil, UsageError{Err: fmt.Errorf("--selector=%q is not valid: use such as app=web: %w", q.Selector, err)}
		}
		s.labels, s.all = q.Selector, true
		return s, nil
	}
	infos, err := resource.NewBuilder(q.Flags).Unstructured().
		NamespaceParam(s.namespace).DefaultNamespace().AllNamespaces(q.AllNamespaces).
		LabelSelectorParam(q.Selector).
		ResourceTypeOrNameArgs(true, q.Args...).
		ContinueOnError().Flatten().Do().Infos()
	if err != nil {
		return nil, usage(err)
	}
	if len(infos) == 0 {
		return nil, UsageError{Err: fmt.Errorf("there is no %s: use TYPE/NAME of a workload, such as deployment/web", strings.Join(q.Args, " "))}
	}
	for _, info := range infos {
		o, err := ownerOf(ctx, client, info)
		if err != nil {
			return nil, explain(err)
		}
		s.owners = append(s.owners, o)
	}
	if len(s.owners) == 1 {
		if only := s.owners[0]; only.labels != nil {
			s.labels = only.labels.String()
		}
	}
	return s, nil
}

// usage tells errors of the command line from those of the API server, and of the way to it.
func usage(err error) error {
	_, ofServer := errors.AsType[*apierrors.StatusError](err)
	_, ofNetwork := errors.AsType[*url.Error](err)
	if ofServer || ofNetwork {
		return explain(err)
	}
	return UsageError{Err: err}
}

func ownerOf(ctx context.Context, client kubernetes.Interface, info *resource.Info) (owner, error) {
	o := owner{name: info.ObjectName(), namespace: info.Namespace}
	object, ok := info.Object.(*unstructured.Unstructured)
	if !ok {
		return o, fmt.Errorf("%s: the API server's answer is a %T", o.name, info.Object)
	}
	var err error
	switch kind := info.Mapping.GroupVersionKind.GroupKind(); {
	case kind.String() == "Pod":
		o.pod = info.Name
		return o, nil
	case kind.String() == "CronJob.batch":
		o.jobs, err = jobsOf(ctx, client, object)
		return o, err
	}
	o.labels, err = selectorOf(object.Object)
	if err != nil {
		return o, UsageError{Err: fmt.Errorf("%s: %w: use TYPE/NAME of a workload, such as deployment/web", o.name, err)}
	}
	return o, nil
}

// selectorOf is what selects the pods of an object: a selector with matchLabels, or labels alone,
// as Services and ReplicationControllers have.
func selectorOf(object map[string]any) (labels.Selector, error) {
	found, _, err := unstructured.NestedMap(object, "spec", "selector")
	if err != nil || len(found) == 0 {
		return nil, errors.New("it has no selector of pods")
	}
	_, byLabels := found["matchLabels"]
	_, byExpressions := found["matchExpressions"]
	if !byLabels && !byExpressions {
		set, _, err := unstructured.NestedStringMap(object, "spec", "selector")
		if err != nil {
			return nil, errors.New("its selector is not one of pods")
		}
		return labels.SelectorFromSet(set), nil
	}
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found, &s); err != nil {
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(&s)
}

// jobsOf are those that a CronJob has made.
func jobsOf(ctx context.Context, client kubernetes.Interface, cronJob *unstructured.Unstructured) (map[types.UID]bool, error) {
	jobs, err := client.BatchV1().Jobs(cronJob.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all := make(map[types.UID]bool)
	for i := range jobs.Items {
		if by := metav1.GetControllerOf(&jobs.Items[i]); by != nil && by.UID == cronJob.GetUID() {
			all[jobs.Items[i].UID] = true
		}
	}
	return all, nil
}
