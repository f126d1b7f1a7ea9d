// Package apitest simulates the part of a Kubernetes API server that the plugin uses, for its tests:
// objects in memory, discovery, get, list, watch, patches of pods and exec.
package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// A request is what the path of one means.
type request struct {
	verb, resource, subresource string
	namespace, name             string
}

// groupResource is such as deployments.apps.
func (r *request) groupResource() string {
	_, of := kindOf(r.resource)
	if group, _, ok := strings.Cut(of.groupVersion, "/"); ok {
		return r.resource + "." + group
	}
	return r.resource
}

// forbidden is in the words of RBAC.
func (r *request) forbidden() string {
	what := r.groupResource()
	if r.name != "" {
		what += fmt.Sprintf(" %q", r.name)
	}
	where := "at the cluster scope"
	if r.namespace != "" {
		where = fmt.Sprintf("in the namespace %q", r.namespace)
	}
	_, group, _ := strings.Cut(r.groupResource(), ".")
	return fmt.Sprintf("%s is forbidden: User %q cannot %s resource %q in API group %q %s",
		what, "tester", r.verb, strings.TrimPrefix(r.text(), r.verb+" "), group, where)
}

func (r *request) text() string {
	if r.subresource != "" {
		return r.verb + " " + r.resource + "/" + r.subresource
	}
	return r.verb + " " + r.resource
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if found := discover(parts); found != nil {
		write(w, http.StatusOK, found)
		return
	}
	req := parse(parts, r)
	if req == nil {
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	s.mu.Lock()
	s.requests[req.text()]++
	denied, broken := s.denied[req.text()], s.broken[req.text()]
	s.mu.Unlock()
	if denied {
		fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, req.forbidden())
		return
	}
	if broken {
		fail(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: request timed out")
		return
	}
	if req.verb == "watch" {
		s.watch(w, r, req)
		return
	}
	now := s.inFlight.Add(1)
	for was := s.most.Load(); now > was && !s.most.CompareAndSwap(was, now); was = s.most.Load() {
		continue
	}
	defer s.inFlight.Add(-1)
	switch req.verb {
	case "list":
		s.list(w, r, req)
	case "patch":
		s.patch(w, r, req)
	default:
		o := s.find(req)
		switch {
		case o == nil:
			fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", req.groupResource(), req.name))
		case req.subresource == "exec":
			s.exec(w, r, o.(*corev1.Pod))
		default:
			write(w, http.StatusOK, o)
		}
	}
}

func parse(parts []string, r *http.Request) *request {
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return nil
	}
	req := new(request)
	if parts[0] == "namespaces" && len(parts) > 2 {
		req.namespace, parts = parts[1], parts[2:]
	}
	for i, to := range []*string{&req.resource, &req.name, &req.subresource} {
		if i < len(parts) {
			*to = parts[i]
		}
	}
	switch {
	case r.Method == http.MethodPatch:
		req.verb = "patch"
	case req.subresource == "exec":
		req.verb = "create"
	case req.name != "":
		req.verb = "get"
	case r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1":
		req.verb = "watch"
	default:
		req.verb = "list"
	}
	return req
}

func (s *Server) find(req *request) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[req.resource][types.NamespacedName{Namespace: req.namespace, Name: req.name}]
	if !ok {
		return nil
	}
	return o.DeepCopyObject().(Object)
}

// matching are copies of the objects that a list or a watch is about, in the order of their names.
func (s *Server) matching(r *http.Request, req *request) (all []Object, err error) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	field := strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	for at, o := range s.objects[req.resource] {
		if (req.namespace == "" || at.Namespace == req.namespace) && (field == "" || at.Name == field) && selector.Matches(labels.Set(o.GetLabels())) {
			all = append(all, o.DeepCopyObject().(Object))
		}
	}
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(key(a).String(), key(b).String()) })
	return all, nil
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, req *request) {
	s.mu.Lock()
	all, err := s.matching(r, req)
	version := strconv.Itoa(s.version)
	s.mu.Unlock()
	if err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	kind, of := kindOf(req.resource)
	if all == nil {
		all = []Object{}
	}
	write(w, http.StatusOK, map[string]any{
		"kind": kind + "List", "apiVersion": of.groupVersion,
		"metadata": map[string]any{"resourceVersion": version}, "items": all,
	})
}

func kindOf(name string) (kind string, of resource) {
	for kind, of := range resources {
		if of.name == name {
			return kind, of
		}
	}
	return "", resource{}
}

// patch is a merge patch of a pod's annotations.
func (s *Server) patch(w http.ResponseWriter, r *http.Request, req *request) {
	var body struct {
		Metadata struct {
			Annotations map[string]*string
			UID         types.UID
		}
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || r.Header.Get("Content-Type") != string(types.MergePatchType) {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, fmt.Sprintf("not a merge patch of annotations: %v", err))
		return
	}
	s.mu.Lock()
	o, found := s.objects[req.resource][types.NamespacedName{Namespace: req.namespace, Name: req.name}]
	if !found {
		s.mu.Unlock()
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", req.groupResource(), req.name))
		return
	}
	pod := o.DeepCopyObject().(*corev1.Pod)
	if body.Metadata.UID != "" && body.Metadata.UID != pod.UID {
		s.mu.Unlock()
		fail(w, http.StatusConflict, metav1.StatusReasonConflict, "Precondition failed: UID in precondition does not match")
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = make(map[string]string)
	}
	for key, value := range body.Metadata.Annotations {
		if delete(pod.Annotations, key); value != nil {
			pod.Annotations[key] = *value
		}
	}
	s.put(pod)
	pod = pod.DeepCopy()
	s.mu.Unlock()
	write(w, http.StatusOK, pod)
	if s.Took != nil {
		s.Took(pod)
	}
}

func write(w http.ResponseWriter, status int, o any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(o) // a client that is gone
}

func fail(w http.ResponseWriter, status int, reason metav1.StatusReason, message string) {
	write(w, status, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Reason: reason, Message: message, Code: int32(status),
	})
}
