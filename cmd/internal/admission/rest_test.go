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

// workloads are of every kind with a pod template.
func workloads(annotations, spec string) []object {
	template := func() object {
		return object{"metadata": object{"labels": object{"app": "web"}, "annotations": parse(annotations)}, "spec": parse(spec)}
	}
	once := template()
	once["spec"].(object)["restartPolicy"] = "Never"
	selector := object{"matchLabels": object{"app": "web"}}
	made := func(version, kind string, content object) object {
		content["apiVersion"], content["kind"] = version, kind
		content["metadata"] = object{"name": "web", "namespace": "privileged"}
		return content
	}
	return []object{
		made("apps/v1", "Deployment", object{"spec": object{"selector": selector, "template": template()}}),
		made("apps/v1", "StatefulSet", object{"spec": object{"selector": selector, "serviceName": "web", "template": template()}}),
		made("apps/v1", "DaemonSet", object{"spec": object{"selector": selector, "template": template()}}),
		made("apps/v1", "ReplicaSet", object{"spec": object{"selector": selector, "template": template()}}),
		made("batch/v1", "Job", object{"spec": object{"template": once}}),
		made("batch/v1", "CronJob", object{"spec": object{"schedule": "@daily", "jobTemplate": object{"spec": object{"template": once}}}}),
		made("v1", "PodTemplate", object{"template": template()}),
		made("v1", "ReplicationController", object{"spec": object{"selector": object{"app": "web"}, "template": template()}}),
	}
}

// The warning is there where the mistake is made, and a controller's objects are left alone.
func testWorkloads(t *testing.T, s *server) {
	const subPath = `
containers:
- {name: haproxy, image: haproxy, volumeMounts: [{name: conf, mountPath: /conf, subPath: x}]}
volumes: [{name: conf, configMap: {name: conf}}]`
	want := []string{
		"unknown annotation podsignal/sinal: known are " + known(),
		`podsignal/expect="maybe" is not valid: use replaced, read or none`,
		"podsignal/signal: HAProxy reloads on USR2, use that",
	}
	for _, o := range workloads("{podsignal/process: haproxy, podsignal/sinal: x, podsignal/expect: maybe, podsignal/signal: HUP}", simple) {
		t.Run(o["kind"].(string), func(t *testing.T) {
			wantCreated(t, s.create(t, o), want...)
			o["metadata"].(object)["ownerReferences"] = []any{object{"apiVersion": "x/v1", "kind": "X", "name": "x", "uid": "1", "controller": true}}
			wantCreated(t, s.create(t, o))
		})
	}
	for _, o := range workloads("{podsignal/process: haproxy}", subPath) {
		wantCreated(t, s.create(t, o), "podsignal is not added: container haproxy mounts the volume conf by subPath, which never receives updates: mount the folder, or name other volumes by podsignal/volume")
	}
	for _, o := range workloads("{podsignal/process: haproxy, podsignal/cmdline: '('}", simple) {
		a := s.create(t, o)
		if len(a.warnings) != 1 || !strings.Contains(a.warnings[0], "podsignal/cmdline: use a regular expression") || !strings.Contains(a.warnings[0], "missing closing )") {
			t.Errorf("warnings %q, want one that the regular expression is none", a.warnings)
		}
	}
	for _, o := range workloads("{podsignal/process: nginx}", simple) {
		wantCreated(t, s.create(t, o))
	}
	for _, o := range workloads("{other: x}", simple) {
		wantCreated(t, s.create(t, o))
		o["metadata"].(object)["annotations"] = object{"podsignal/process": "nginx", "podsignal/reload-ulr": "x"}
		wantCreated(t, s.create(t, o), "unknown annotation podsignal/reload-ulr: known are "+known(),
			"podsignal/process: annotate the pod template, spec.template.metadata.annotations")
	}
}

func wantCreated(t *testing.T, a answer, warnings ...string) {
	t.Helper()
	if a.code/100 != 2 {
		t.Errorf("it is refused: %s", a.body)
	}
	wantWarnings(t, a, warnings...)
}

// A warning is not repeated at each update.
func testUpdates(t *testing.T, s *server) {
	for _, o := range workloads("{podsignal/process: haproxy, podsignal/signal: HUP}", simple) {
		t.Run(o["kind"].(string), func(t *testing.T) {
			const warning = "podsignal/signal: HAProxy reloads on USR2, use that"
			created := s.request(t, "POST", path(o), o)
			defer s.delete(t, o)
			wantCreated(t, created, warning)
			update := func(change func(o object)) answer {
				t.Helper()
				live := s.request(t, "GET", path(o)+"/web", nil).object
				change(live)
				return s.request(t, "PUT", path(o)+"/web?dryRun=All", live)
			}
			wantCreated(t, update(func(o object) { o["metadata"].(object)["labels"] = object{"a": "b"} }))
			wantCreated(t, update(func(o object) { o["metadata"].(object)["annotations"] = object{"a": "b"} }), warning)
			if o["kind"] == "Job" { // its template never changes
				return
			}
			wantCreated(t, update(func(o object) {
				templateOf(o)["metadata"].(object)["annotations"].(object)["podsignal/signal"] = "USR1"
			}), warning)
			wantCreated(t, update(func(o object) {
				templateOf(o)["metadata"].(object)["annotations"].(object)["podsignal/signal"] = "USR2"
			}))
			wantCreated(t, update(func(o object) {
				templateOf(o)["spec"].(object)["containers"].([]any)[0].(object)["image"] = "haproxy:2"
			}), warning)
		})
	}
}

func templateOf(o object) object {
	if template, ok := o["template"].(object); ok {
		return template
	}
	spec := o["spec"].(object)
	if job, ok := spec["jobTemplate"].(object); ok {
		spec = job["spec"].(object)
	}
	return spec["template"].(object)
}

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
	asked := pod("{podsignal/process: freeradius, podsignal/cmdline: x, podsignal/exclude: x, podsignal/splay: 5m, podsignal/expect: read, podsignal/listen: '9533', podsignal/container: c49}", "{}")
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
		bad[key] = func(v string) bool { return checked(key, v) }
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
					t.Errorf("%s=%q is taken: %v, and a warning is there: %v", key, value, taken, warned)
				}
				switch {
				case taken && key != "image" && !bad[key](strings.TrimSpace(value)):
					t.Errorf("%s=%q is taken", key, value)
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
