//go:build admission

package admission_test

import (
	"net/http"
	"strings"
	"testing"
)

// With deny.yaml a workload with a mistake is refused, and a controller's pod never.
func testDeny(t *testing.T, s *server) {
	for _, o := range documents(t, example+"deny.yaml") {
		s.apply(t, o)
	}
	defer s.waitPolicies(t)
	defer s.install(t)
	broken := pod("{podsignal/process: nginx, podsignal/signal: KILL}", simple)
	s.wait(t, "deny.yaml", func() string {
		if a := s.create(t, broken); a.code != http.StatusUnprocessableEntity {
			return a.body
		}
		return ""
	})
	for _, o := range append(workloads("{podsignal/process: nginx, podsignal/sinal: HUP}", simple), workloads("{podsignal/process: nginx, podsignal/cmdline: (}", simple)...) {
		if a := s.create(t, o); a.code != http.StatusUnprocessableEntity || len(a.warnings) > 0 {
			t.Errorf("%s: %d %s, want it denied", o["kind"], a.code, a.body)
		}
	}
	broken["metadata"].(object)["ownerReferences"] = []any{object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "1", "controller": true}}
	wantAdmitted(t, s.create(t, broken), false)
	for _, o := range append(workloads("{podsignal/process: nginx}", simple), workloads("{}", simple)...) {
		wantCreated(t, s.create(t, o))
	}
}

// Without the policies a pod is as it was.
func testUninstalled(t *testing.T, s *server) {
	for _, o := range documents(t, example+"policy.yaml") {
		s.delete(t, o)
	}
	a := s.waitSidecar(t, pod("{podsignal/process: nginx}", simple), func(sidecar object) bool { return sidecar == nil })
	s.wait(t, "the end of the warnings", func() string {
		a = s.create(t, pod("{podsignal/process: nginx}", simple))
		return strings.Join(a.warnings, "\n")
	})
	wantAdmitted(t, a, false)
}
