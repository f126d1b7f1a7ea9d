// Package apitest simulates the part of a Kubernetes API server that the plugin uses, for its tests:
// objects in memory, discovery, get, list, watch, patches of pods and exec.
package apitest

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

// A Server simulates an API server.
type Server struct {
	URL  string
	Exec func(*Exec) (exit int) // what runs in containers
	Took func(*corev1.Pod)      // is called after each patch of a pod; nil: nothing is

	mu       sync.Mutex
	version  int
	objects  map[string]map[types.NamespacedName]Object // by resource
	watches  map[*watch]bool
	denied   map[string]bool // VERB RESOURCE
	broken   map[string]bool // VERB RESOURCE
	requests map[string]int  // by VERB RESOURCE

	inFlight, most atomic.Int64
}

// An Object is one of the API.
type Object interface {
	runtime.Object
	metav1.Object
}

// resources are those that there are, by their kind.
var resources = map[string]resource{
	"Pod":         {"pods", "v1"},
	"ConfigMap":   {"configmaps", "v1"},
	"Secret":      {"secrets", "v1"},
	"Service":     {"services", "v1"},
	"Deployment":  {"deployments", "apps/v1"},
	"ReplicaSet":  {"replicasets", "apps/v1"},
	"StatefulSet": {"statefulsets", "apps/v1"},
	"DaemonSet":   {"daemonsets", "apps/v1"},
	"Job":         {"jobs", "batch/v1"},
	"CronJob":     {"cronjobs", "batch/v1"},
}

type resource struct{ name, groupVersion string }

// New starts a server, until the end of the test.
func New(t testing.TB) *Server {
	s := &Server{
		objects:  make(map[string]map[types.NamespacedName]Object),
		watches:  make(map[*watch]bool),
		denied:   make(map[string]bool),
		broken:   make(map[string]bool),
		requests: make(map[string]int),
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.mu.Lock()
		for w := range s.watches {
			w.end()
		}
		s.mu.Unlock()
		server.Close()
	})
	s.URL = server.URL
	return s
}

// Put adds objects, or replaces those of the same name.
func (s *Server) Put(objects ...Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range objects {
		s.put(o)
	}
}

func (s *Server) put(o Object) {
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		panic(err)
	}
	o.GetObjectKind().SetGroupVersionKind(kinds[0])
	if o.GetUID() == "" {
		o.SetUID(types.UID(fmt.Sprintf("%s-%d", o.GetName(), s.version)))
	}
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	name := resources[kinds[0].Kind].name
	if s.objects[name] == nil {
		s.objects[name] = make(map[types.NamespacedName]Object)
	}
	event := "ADDED"
	if _, there := s.objects[name][key(o)]; there {
		event = "MODIFIED"
	}
	s.objects[name][key(o)] = o
	s.tell(name, event, o)
}

// Delete removes an object, if it is there.
func (s *Server) Delete(o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		panic(err)
	}
	name := resources[kinds[0].Kind].name
	if was, there := s.objects[name][key(o)]; there {
		delete(s.objects[name], key(o))
		s.version++
		last := was.DeepCopyObject().(Object)
		last.SetResourceVersion(strconv.Itoa(s.version))
		s.tell(name, "DELETED", last)
	}
}

// Get returns a copy of what is stored under the name of an object; nil: there is none.
func Get[T Object](s *Server, o T) (found T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds, _, _ := scheme.Scheme.ObjectKinds(o)
	if there, ok := s.objects[resources[kinds[0].Kind].name][key(o)]; ok {
		found = there.DeepCopyObject().(T)
	}
	return found
}

// Deny has requests be refused: "list pods", "create pods/exec".
func (s *Server) Deny(requests ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range requests {
		s.denied[r] = true
	}
}

// Break has requests fail, as Deny has them be refused, for as long as it says.
func (s *Server) Break(request string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[request] = is
}

// Requests are how many there were, by verb and resource such as "list pods".
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// MostInFlight is how many requests there were at the same time, without watches.
func (s *Server) MostInFlight() int { return int(s.most.Load()) }

func key(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
