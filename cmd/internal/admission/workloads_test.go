//go:build admission

package admission_test

import (
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
