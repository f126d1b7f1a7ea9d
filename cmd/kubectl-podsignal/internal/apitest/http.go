package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

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
