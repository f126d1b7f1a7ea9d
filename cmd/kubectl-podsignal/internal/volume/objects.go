package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Kind is that of an object with data.
type Kind string

// The kinds.
const (
	ConfigMap Kind = "ConfigMap"
	Secret    Kind = "Secret"
)

// A Getter has the objects of the API.
type Getter interface {
	// Get returns the data of an object by its keys, and whether there is such an object. The error
	// is a ForbiddenError if it may not be read.
	Get(ctx context.Context, kind Kind, namespace, name string) (data map[string][]byte, found bool, err error)
}

// A ForbiddenError says that an object may not be read.
type ForbiddenError struct {
	Kind      Kind
	Namespace string
	Err       error // of the API server, which names the right
}

// Error implements error.
func (e *ForbiddenError) Error() string { return e.Err.Error() }

// Objects reads each object of an API server once, however many ask for it. It may be used by
// several goroutines.
type Objects struct {
	client kubernetes.Interface
	limit  func(context.Context, func() error) error

	mu  sync.Mutex
	all map[objectKey]*object
}

type objectKey struct {
	kind            Kind
	namespace, name string
}

type object struct {
	mu    sync.Mutex // held while it is read
	known bool
	data  map[string][]byte
	found bool
	err   error // a ForbiddenError, or nil
}

// NewObjects reads by a client, and each request within limit.
func NewObjects(client kubernetes.Interface, limit func(context.Context, func() error) error) *Objects {
	return &Objects{client: client, limit: limit, all: make(map[objectKey]*object)}
}

// Get implements Getter.
func (o *Objects) Get(ctx context.Context, kind Kind, namespace, name string) (map[string][]byte, bool, error) {
	key := objectKey{kind, namespace, name}
	o.mu.Lock()
	if o.all[key] == nil {
		o.all[key] = new(object)
	}
	one := o.all[key]
	o.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.known {
		return one.data, one.found, one.err
	}
	data, found, err := o.read(ctx, key)
	if _, forbidden := errors.AsType[*ForbiddenError](err); err == nil || forbidden {
		one.known, one.data, one.found, one.err = true, data, found, err
	}
	return data, found, err
}

func (o *Objects) read(ctx context.Context, key objectKey) (data map[string][]byte, found bool, err error) {
	err = o.limit(ctx, func() (err error) {
		data, err = o.request(ctx, key)
		return err
	})
	switch {
	case apierrors.IsForbidden(err):
		return nil, false, &ForbiddenError{key.kind, key.namespace, err}
	case apierrors.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("reading %s: %w", ref(string(key.kind), key.namespace, key.name), err)
	}
	return data, true, nil
}

func (o *Objects) request(ctx context.Context, key objectKey) (map[string][]byte, error) {
	if key.kind == Secret {
		s, err := o.client.CoreV1().Secrets(key.namespace).Get(ctx, key.name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return s.Data, nil
	}
	m, err := o.client.CoreV1().ConfigMaps(key.namespace).Get(ctx, key.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return dataOf(m), nil
}

// dataOf is all of a ConfigMap's, which has no key twice.
func dataOf(m *corev1.ConfigMap) map[string][]byte {
	data := maps.Clone(m.BinaryData)
	if data == nil {
		data = make(map[string][]byte, len(m.Data))
	}
	for key, text := range m.Data {
		data[key] = []byte(text)
	}
	return data
}

// Changed names the objects that have other data by now than when they were read first.
func (o *Objects) Changed(ctx context.Context) (names []string, err error) {
	o.mu.Lock()
	all := maps.Clone(o.all)
	o.mu.Unlock()
	for key := range all {
		was, wasFound, err := o.Get(ctx, key.kind, key.namespace, key.name)
		if _, forbidden := errors.AsType[*ForbiddenError](err); forbidden {
			continue // nothing of it is known
		}
		if err != nil {
			return nil, err
		}
		data, found, err := o.read(ctx, key)
		if err != nil {
			return nil, err
		}
		if found != wasFound || !sameData(data, was) {
			names = append(names, ref(string(key.kind), key.namespace, key.name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func sameData(a, b map[string][]byte) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

// Forbidden says of the objects that may not be read which right is missing, once for each kind and
// namespace.
func (o *Objects) Forbidden() (why []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	told := make(map[objectKey]bool)
	for _, one := range o.all {
		one.mu.Lock()
		forbidden, ok := errors.AsType[*ForbiddenError](one.err)
		one.mu.Unlock()
		if !ok {
			continue
		}
		if group := (objectKey{forbidden.Kind, forbidden.Namespace, ""}); !told[group] {
			told[group] = true
			why = append(why, forbidden.Error())
		}
	}
	slices.Sort(why)
	return why
}
