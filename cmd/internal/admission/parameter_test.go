//go:build admission

package admission_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// parameter is the ConfigMap with other values; null: without the key.
func (s *server) parameter(t *testing.T, changes object) answer {
	t.Helper()
	data := object{"image": "podsignal:1"}
	for key, value := range changes {
		if data[key] = value; value == nil {
			delete(data, key)
		}
	}
	return s.request(t, "PUT", "/api/v1/namespaces/podsignal-system/configmaps/podsignal", object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "podsignal", "namespace": "podsignal-system"}, "data": data,
	})
}

// waitSidecar waits until a change of the parameter has its effect.
func (s *server) waitSidecar(t *testing.T, o object, want func(sidecar object) bool) answer {
	t.Helper()
	var a answer
	s.wait(t, "the effect of the parameter", func() string {
		a = s.create(t, o)
		if a.code != http.StatusCreated {
			t.Fatalf("the pod is blocked: %s", a.body)
		}
		if !want(sidecar(a.object)) {
			return fmt.Sprint(sidecar(a.object))
		}
		return ""
	})
	return a
}

func testParameter(t *testing.T, s *server) {
	const missing = "podsignal is not added: is the ConfigMap podsignal in the namespace podsignal-system there, and right? (a running pod cannot get it)"
	asked := pod("{podsignal/process: nginx}", simple)
	isThere := func(sidecar object) bool { return sidecar != nil }
	isAway := func(sidecar object) bool { return sidecar == nil }
	defer s.install(t)

	t.Run("its values", func(t *testing.T) {
		s.parameter(t, object{
			"image": "registry.example:5000/podsignal@sha256:ab", "imagePullPolicy": "Never", "requests.cpu": "5m", "requests.memory": "20Mi",
			"limits.cpu": "200m", "limits.memory": "40Mi", "listen": "9533", "splay": "5m", "exclude": "**/*.md",
		})
		a := s.waitSidecar(t, asked, func(sidecar object) bool { return sidecar["imagePullPolicy"] == "Never" })
		got := sidecar(a.object)
		want := parse(`
image: registry.example:5000/podsignal@sha256:ab
resources: {requests: {cpu: 5m, memory: 20Mi}, limits: {cpu: 200m, memory: 40Mi}}
env: [{name: PROCESS, value: nginx}, {name: EXCLUDE, value: "**/*.md"}, {name: SPLAY, value: 5m}, {name: LISTEN, value: "9533"}]`)
		for key, value := range want {
			if fmt.Sprint(got[key]) != fmt.Sprint(value) {
				t.Errorf("%s is %v, want %v", key, got[key], value)
			}
		}
		own := s.create(t, pod("{podsignal/process: nginx, podsignal/splay: 1m, podsignal/listen: '1'}", simple))
		if env := fmt.Sprint(sidecar(own.object)["env"]); !strings.Contains(env, "1m") || strings.Contains(env, "5m") {
			t.Errorf("an annotation does not count more than the parameter: %s", env)
		}
		guaranteed := s.create(t, pod("{podsignal/process: nginx}", `
containers:
- {name: nginx, image: nginx, resources: {limits: {cpu: 500m, memory: 1Gi}}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`))
		if r := fmt.Sprint(sidecar(guaranteed.object)["resources"]); r != "map[limits:map[cpu:200m memory:40Mi] requests:map[cpu:200m memory:40Mi]]" {
			t.Errorf("in a Guaranteed pod podsignal has %s", r)
		}
	})

	bad := map[string]func(value string) bool{ // keys; whether a value of the list may be taken
		"image":           func(v string) bool { return !strings.ContainsAny(v, " \t\n$") },
		"imagePullPolicy": func(v string) bool { return v == "Always" },
		"requests.cpu":    func(v string) bool { return slices.Contains([]string{"0", "1", "+1", "01", "1m"}, v) },
		"requests.memory": func(v string) bool { return slices.Contains([]string{"1m", "1Mi", "16Mi", "32Mi"}, v) || len(v) < 10 },
		"limits.cpu":      func(v string) bool { return slices.Contains([]string{"1", "+1", "01"}, v) },
		"limits.memory":   func(v string) bool { return slices.Contains([]string{"16Mi", "32Mi", "1Gi", "1e9"}, v) },
	}
	for _, key := range []string{"exclude", "splay", "listen"} {
		bad[key] = func(v string) bool { return len(v) < 32768 && checked(key, v) }
	}
	for _, key := range slices.Sorted(maps.Keys(bad)) {
		t.Run(key, func(t *testing.T) {
			refused := 0
			for i, value := range values {
				// Another value tells that this parameter counts.
				mark := fmt.Sprintf("podsignal:v%d", i)
				changes := object{"image": mark, key: value}
				if key == "image" {
					mark = fmt.Sprintf("%dMi", 33+i)
					changes["limits.memory"] = mark
				}
				warned := len(s.parameter(t, changes).warnings) > 0
				// Whether it is taken or not, the pod is created.
				a := s.waitSidecar(t, asked, func(sidecar object) bool {
					return sidecar == nil || strings.Contains(fmt.Sprint(sidecar["image"], sidecar["resources"]), mark)
				})
				taken := sidecar(a.object) != nil
				if taken == warned {
					t.Errorf("%s=%.80q is taken: %v, and a warning is there: %v", key, value, taken, warned)
				}
				switch {
				case taken && key != "image" && !bad[key](strings.TrimSpace(value)):
					t.Errorf("%s=%.80q is taken", key, value)
				case !taken:
					refused++
					wantWarnings(t, a, missing)
					s.parameter(t, nil)
					s.waitSidecar(t, asked, isThere)
				}
			}
			if refused == 0 {
				t.Error("no value is refused")
			}
		})
	}

	t.Run("an image with a space", func(t *testing.T) {
		wantWarnings(t, s.parameter(t, object{"image": "pod signal", "imagepullpolicy": "Never"}),
			"podsignal is added to no pod: image is not valid: use one such as podsignal:"+version(t), "unknown keys: imagepullpolicy")
		wantWarnings(t, s.waitSidecar(t, asked, isAway), missing)
		s.parameter(t, object{"image": nil})
		wantWarnings(t, s.waitSidecar(t, asked, isAway), missing)
	})
	t.Run("requests beyond limits", func(t *testing.T) {
		s.parameter(t, nil)
		s.waitSidecar(t, asked, isThere)
		s.parameter(t, object{"requests.memory": "33Mi"})
		s.waitSidecar(t, asked, isAway)
	})
	t.Run("none", func(t *testing.T) {
		s.parameter(t, nil)
		s.waitSidecar(t, asked, isThere)
		s.delete(t, object{"kind": "ConfigMap", "metadata": object{"name": "podsignal", "namespace": "podsignal-system"}})
		wantWarnings(t, s.waitSidecar(t, asked, isAway), missing)
		owned := pod("{podsignal/process: nginx}", simple)
		owned["metadata"].(object)["ownerReferences"] = []any{object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "1", "controller": true}}
		a := s.create(t, owned)
		wantAdmitted(t, a, false)
		wantWarnings(t, a)
		wantAdmitted(t, s.create(t, pod("{}", simple)), false)
	})
}
