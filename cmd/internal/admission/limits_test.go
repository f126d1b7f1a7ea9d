//go:build admission

package admission_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// At each level of Pod Security the pod that the policy makes is one that may be.
func testLevels(t *testing.T, s *server) {
	const restricted = `
securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}%s}
containers:
- name: nginx
  image: nginx
  securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  volumeMounts: [{name: conf, mountPath: /conf}]
volumes: [{name: conf, configMap: {name: conf}}]`
	tests := []struct {
		name, level, annotations, spec string
		with                           bool
	}{
		{"restricted, the uid in the manifest", "restricted", "{podsignal/process: nginx}", fmt.Sprintf(restricted, ", runAsUser: 101"), true},
		{"restricted, the uid in the annotation", "restricted", "{podsignal/process: nginx, podsignal/uid: '101'}", fmt.Sprintf(restricted, ""), true},
		{"restricted, keep", "restricted", "{podsignal/process: nginx, podsignal/uid: keep}", fmt.Sprintf(restricted, ""), true},
		{"restricted, a URL", "restricted", "{podsignal/reload-url: 'http://localhost/', podsignal/listen: '9533'}", fmt.Sprintf(restricted, ""), true},
		{"restricted, no uid", "restricted", "{podsignal/process: nginx}", fmt.Sprintf(restricted, ""), false},
		{"restricted, root", "restricted", "{podsignal/process: nginx, podsignal/uid: '0'}", fmt.Sprintf(restricted, ""), false},
		{"restricted, a hold", "restricted", "{podsignal/process: nginx, podsignal/hold: 'true'}", fmt.Sprintf(restricted, ", runAsUser: 101"), true},
		{"baseline, no uid", "baseline", "{podsignal/process: nginx}", simple, true},
		{"baseline, root", "baseline", "{podsignal/process: nginx, podsignal/uid: '0'}", simple, true},
		{"baseline, keep", "baseline", "{podsignal/process: nginx, podsignal/uid: keep}", simple, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantAdmitted(t, s.create(t, in(test.level, pod(test.annotations, test.spec))), test.with)
		})
	}
	t.Run("the namespaces that are left out", func(t *testing.T) {
		s.namespace(t, "podsignal-system", object{})
		s.namespace(t, "kube-system", object{})
		for _, namespace := range []string{"kube-system", "podsignal-system"} {
			a := s.create(t, in(namespace, pod("{podsignal/process: nginx}", simple)))
			wantAdmitted(t, a, false)
			wantWarnings(t, a)
		}
	})
}

// The largest pods do not exceed what expressions may cost.
func testMany(t *testing.T, s *server) {
	asked := pod("{podsignal/process: freeradius, podsignal/cmdline: x, podsignal/exclude: x, podsignal/splay: 5m, podsignal/expect: read, podsignal/listen: '9533', podsignal/hold: 'true', podsignal/container: c49}", "{}")
	annotations := asked["metadata"].(object)["annotations"].(object)
	for i := len(annotations); i < 30; i++ {
		annotations[fmt.Sprintf("example.com/%d", i)] = strings.Repeat("x", 1000)
	}
	var volumes, mounts, containers []any
	for i := range 100 {
		volumes = append(volumes, object{"name": fmt.Sprintf("v%d", i), "projected": object{"sources": []any{
			object{"serviceAccountToken": object{"path": "token"}}, object{"configMap": object{"name": "conf"}}, object{"secret": object{"name": "tls"}},
		}}})
		mounts = append(mounts, object{"name": fmt.Sprintf("v%d", i), "mountPath": fmt.Sprintf("/mnt/%d", i)})
	}
	for i := range 50 {
		containers = append(containers, object{"name": fmt.Sprintf("c%d", i), "image": "x", "volumeMounts": slices.Clone(mounts)})
	}
	spec := object{"containers": containers, "volumes": volumes}
	asked["spec"] = spec
	a := s.create(t, asked)
	wantAdmitted(t, a, true)
	wantWarnings(t, a)
	if mounted := sidecar(a.object)["volumeMounts"].([]any); len(mounted) < 100 {
		t.Errorf("podsignal mounts %d volumes, want 100", len(mounted))
	}

	// The same by names, and with all that can be wrong.
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("v%d", i))
	}
	annotations["podsignal/volume"] = strings.Join(names, ",")
	a = s.create(t, asked)
	wantAdmitted(t, a, true)
	wantWarnings(t, a)
	for i := range 12 {
		annotations[fmt.Sprintf("podsignal/x%d", i)] = "x"
	}
	annotations["podsignal/signal"], annotations["podsignal/expect"] = "KILL", "x"
	deployment := workloads("{}", "{}")[0]
	templateOf(deployment)["metadata"].(object)["annotations"], templateOf(deployment)["spec"] = annotations, spec
	if a = s.create(t, deployment); a.code != http.StatusCreated || len(a.warnings) != 2 {
		t.Errorf("%d warnings %q, want one for unknown annotations and one for values: %.500s", len(a.warnings), a.warnings, a.body)
	}
	for i := range 100 {
		mounts[i].(object)["subPath"] = "x"
	}
	delete(annotations, "podsignal/signal")
	delete(annotations, "podsignal/expect")
	if a = s.create(t, deployment); a.code != http.StatusCreated || len(a.warnings) != 2 {
		t.Errorf("%d warnings %.500q, want one for unknown annotations and one for subPath: %.500s", len(a.warnings), a.warnings, a.body)
	}
}

// A LimitRange counts podsignal too.
func testLimitRange(t *testing.T, s *server) {
	s.namespace(t, "limited", object{})
	s.apply(t, parse(`
apiVersion: v1
kind: LimitRange
metadata: {name: least, namespace: limited}
spec: {limits: [{type: Container, min: {cpu: 10m, memory: 16Mi}, default: {memory: 32Mi}}]}`))
	asked := in("limited", pod("{podsignal/process: nginx}", simple))
	if a := s.create(t, asked); a.code != http.StatusForbidden || !strings.Contains(a.body, "minimum cpu usage per Container is 10m, but request is 1m") {
		t.Errorf("%d %s: README.md says that the pod is refused", a.code, a.body)
	}
	defer s.install(t)
	s.parameter(t, object{"requests.cpu": "10m"})
	s.wait(t, "the parameter", func() string {
		if a := s.create(t, asked); sidecar(a.object) == nil {
			return a.body
		}
		return ""
	})
}
