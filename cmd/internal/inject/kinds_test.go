package inject

import (
	"strings"
	"testing"
)

// ofKind is a workload with a pod template at a key, with annotations.
func ofKind(version, kind, key, annotations string) string {
	manifest := `apiVersion: ` + version + `
kind: ` + kind + `
metadata: {name: web, annotations: {` + annotations + `}}
spec:
  template:
    spec:
      containers:
      - name: nginx
        image: nginx
        securityContext: {runAsUser: 101}
        volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]
      volumes: [{name: conf, configMap: {name: conf}}]
`
	if key == "template" {
		manifest = strings.Replace(manifest, "spec:\n  template:", "template:", 1)
	}
	return manifest
}

// Any kind with a pod template gets podsignal if an annotation asks.
func TestOtherKinds(t *testing.T) {
	tests := []struct{ version, kind, key string }{
		{"argoproj.io/v1alpha1", "Rollout", "spec.template"},
		{"v1", "ReplicationController", "spec.template"},
		{"v1", "PodTemplate", "template"},
		{"apps.kruise.io/v1beta1", "StatefulSet", "spec.template"},
		{"extensions/v1beta1", "Deployment", "spec.template"},
		{"example.com/v1", "Web", "spec.template"},
	}
	for _, tt := range tests {
		t.Run(tt.kind+" "+tt.version, func(t *testing.T) {
			out, notes := injected(t, ofKind(tt.version, tt.kind, tt.key, "podsignal/process: nginx"))
			if envOf(podsignalIn(t, out))["PROCESS"] != "nginx" || notes != "" {
				t.Errorf("told %q:\n%s", notes, out)
			}
			// Flags are for the kinds of Kubernetes.
			in := ofKind(tt.version, tt.kind, tt.key, "") + "---\n" + web
			out, _ = injected(t, in, "--process=nginx")
			if before, _, _ := strings.Cut(out, "---"); strings.Contains(before, "podsignal") || !strings.Contains(out, "podsignal") {
				t.Errorf("by a flag alone:\n%s", out)
			}
		})
	}
}

// What is annotated and not changed is named, with the reason.
func TestNotChanged(t *testing.T) {
	const asks = "podsignal/process: nginx"
	tests := []struct{ name, in, want string }{
		{
			"no pod", "apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {" + asks + "}}\nspec: {ports: [{port: 80}]}\n",
			"Service/web (v1): not changed: it has podsignal/process, but no pod at spec.template",
		},
		{
			"a template of something else", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: web, annotations: {" + asks + "}}\nspec: {template: {type: Opaque}}\n",
			"SealedSecret/web (bitnami.com/v1alpha1): not changed: it has podsignal/process, but no pod at spec.template",
		},
		{
			"Windows", edited(t, annotated(t, asks), "spec:", "spec:\n  os: {name: windows}"),
			"Pod/web (v1): not changed: it is for Windows, which has no signals",
		},
		{
			"Windows, by the node", edited(t, annotated(t, asks), "spec:", "spec:\n  nodeSelector: {kubernetes.io/os: windows}"),
			"Pod/web (v1): not changed: it is for Windows, which has no signals",
		},
		{
			"root, where it is forbidden", edited(t, annotated(t, asks+", podsignal/uid: '0'"), "spec:", "spec:\n  securityContext: {runAsNonRoot: true}"),
			"Pod/web (v1): not changed: container nginx has runAsNonRoot, so its program's uid is not 0: set podsignal/uid, or --uid, to that",
		},
		{
			"no uid", edited(t, annotated(t, asks), "spec:", "spec:\n  securityContext: {runAsNonRoot: true}"),
			"Pod/web (v1): not changed: container nginx has runAsNonRoot but no runAsUser, and podsignal has to run as the same uid: set podsignal/uid, or --uid",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, notes := injected(t, tt.in)
			if want := "podsignal: " + tt.want + "\n"; out != tt.in || notes != want {
				t.Errorf("told %q, want %q, printed:\n%s", notes, want, out)
			}
		})
	}
}

// Whatever asks for nothing passes through as it is.
func TestPassThrough(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":         "",
		"white space":     " \n\t\n",
		"a comment":       "# nothing here\n",
		"pods":            web + "---\n" + ofKind("apps/v1", "Deployment", "spec.template", ""),
		"odd text":        "---\r\nkind:   Service\r\n...\r\n---\n\n# end",
		"JSON":            `{"kind":"Deployment","apiVersion":"apps/v1","spec":{}}`,
		"a key twice":     "kind: ConfigMap\napiVersion: v1\ndata: {a: x, a: y}\n",
		"with podsignal":  edited(t, web, "containers:", "initContainers: [{name: podsignal, image: podsignal}]\n  containers:"),
		"actions in text": "kind: ConfigMap\napiVersion: v1\ndata:\n  rule: |\n    {{ range .Alerts }}\n    {{ end }}\n  other: '{{ .Name }}'\n",
		"no manifest":     "just text\n",
	} {
		for _, args := range [][]string{nil, {"--image=registry.example/podsignal:0.1.0"}} {
			out, notes, err := run(in, args...)
			if out != in || notes != "" || err != nil {
				t.Errorf("%s, with %q: error %v, told %q, printed:\n%s", name, args, err, notes, out)
			}
		}
	}
}

// The test pod of a chart mounts nothing. That is an error only if nothing else is changed.
func TestPodOfChart(t *testing.T) {
	const testPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-test}\nspec:\n  containers: [{name: wget, image: busybox}]\n"
	out, notes := injected(t, ofKind("apps/v1", "Deployment", "spec.template", "")+"---\n"+testPod, "--process=nginx")
	_, after, _ := strings.Cut(out, "---\n")
	if after != testPod || !strings.Contains(out, "name: podsignal") {
		t.Errorf("printed:\n%s", out)
	}
	const why = "no container mounts a ConfigMap, Secret or projected volume"
	if !strings.HasPrefix(notes, "podsignal: Pod/web-test (v1): not changed: "+why) || strings.Count(notes, "\n") != 1 {
		t.Errorf("told %q", notes)
	}
	if _, _, err := run(testPod, "--process=nginx"); err == nil || !strings.HasPrefix(err.Error(), "Pod/web-test: "+why) {
		t.Errorf("error %v", err)
	}
	// One that asks for podsignal itself is an error in any case.
	in := ofKind("apps/v1", "Deployment", "spec.template", "") + "---\n" + edited(t, testPod, "web-test", "web-test, annotations: {podsignal/process: wget}")
	if _, _, err := run(in, "--process=nginx"); err == nil || !strings.HasPrefix(err.Error(), "Pod/web-test: "+why) {
		t.Errorf("error %v", err)
	}
}
