package apitest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A watch is one that goes on.
type watch struct {
	request  *request
	selector labels.Selector
	events   chan event
	ended    chan struct{}
	once     sync.Once
}

type event struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

func (w *watch) end() { w.once.Do(func() { close(w.ended) }) }

// Drop ends all watches, as a server does now and then.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		w.end()
	}
}

// tell sends an event to all watches that are about it.
func (s *Server) tell(resource, kind string, o Object) {
	for w := range s.watches {
		if w.request.resource != resource || w.request.namespace != "" && w.request.namespace != o.GetNamespace() || !w.selector.Matches(labels.Set(o.GetLabels())) {
			continue
		}
		select {
		case w.events <- event{kind, o.DeepCopyObject()}:
		case <-w.ended:
		}
	}
}

// backlog is how many events may wait for a client.
const backlog = 100_000

// watch begins with all objects if the client asks for it or has seen nothing newer.
func (s *Server) watch(out http.ResponseWriter, r *http.Request, req *request) {
	query := r.URL.Query()
	selector, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		fail(out, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	w := &watch{request: req, selector: selector, events: make(chan event, backlog), ended: make(chan struct{})}
	s.mu.Lock()
	initial := query.Get("sendInitialEvents") == "true"
	if since, _ := strconv.Atoi(query.Get("resourceVersion")); !initial && since < s.version {
		s.mu.Unlock()
		// There is no history here: the client lists again.
		fail(out, http.StatusGone, metav1.StatusReasonExpired, "too old resource version")
		return
	}
	s.watches[w] = true
	if initial {
		all, _ := s.matching(r, req) // the selector is valid
		for _, o := range all {
			w.events <- event{"ADDED", o}
		}
		kind, of := kindOf(req.resource)
		w.events <- event{"BOOKMARK", map[string]any{"kind": kind, "apiVersion": of.groupVersion, "metadata": map[string]any{
			"resourceVersion": strconv.Itoa(s.version), "annotations": map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		}}}
	}
	s.mu.Unlock()
	defer func() {
		w.end()
		s.mu.Lock()
		delete(s.watches, w)
		s.mu.Unlock()
	}()
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(http.StatusOK)
	flusher := out.(http.Flusher)
	flusher.Flush()
	encoder := json.NewEncoder(out)
	for {
		select {
		case e := <-w.events:
			if encoder.Encode(e) != nil {
				return
			}
			flusher.Flush()
		case <-w.ended:
			return
		case <-r.Context().Done():
			return
		}
	}
}
