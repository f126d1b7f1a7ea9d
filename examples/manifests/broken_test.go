package manifests_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sound is a pod without a fault.
const sound = `
apiVersion: v1
kind: Pod
metadata:
  name: haproxy
  annotations:
    podsignal/process: haproxy
spec:
  shareProcessNamespace: true
  automountServiceAccountToken: false
  securityContext:
    runAsUser: 99
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: haproxy
      image: haproxy:3.2
      ports:
        - {name: http, containerPort: 8080}
      startupProbe: {tcpSocket: {port: http}}
      securityContext: {capabilities: {drop: [ALL]}, allowPrivilegeEscalation: false}
      resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 128Mi}}
      volumeMounts:
        - {name: config, mountPath: /usr/local/etc/haproxy}
    - name: exporter
      image: exporter@sha256:0123456789abcdef
      livenessProbe: {exec: {command: [/check]}}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 128Mi}}
  initContainers:
    - name: podsignal
      image: registry.example:5000/tools/podsignal:0.1.0
      restartPolicy: Always
      env:
        - {name: FILE, value: "/config/haproxy.cfg, /config/maps"}
        - name: PROCESS
          valueFrom: {fieldRef: {fieldPath: "metadata.annotations['podsignal/process']"}}
        - {name: SIGNAL, value: USR2}
        - {name: LISTEN, value: ":9533"}
      ports:
        - {name: podsignal, containerPort: 9533}
      livenessProbe: {httpGet: {path: /healthz, port: podsignal}}
      readinessProbe: {httpGet: {path: /readyz, port: 9533}}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      resources: {requests: {cpu: 1m, memory: 16Mi}, limits: {memory: 32Mi}}
      volumeMounts:
        - {name: config, mountPath: /config, readOnly: true}
  volumes:
    - name: config
      configMap: {name: haproxy}
`

// TestFaults breaks the pod in one place, and wants that to be the only fault told.
func TestFaults(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           []string // what each fault begins with
	}{
		{"a token by default", "automountServiceAccountToken: false", "", []string{"token: "}},
		{"a token", "automountServiceAccountToken: false", "automountServiceAccountToken: true", []string{"token: "}},
		{"root", "runAsUser: 99", "runAsUser: 0", []string{"restricted: runAsUser=0"}},
		{"perhaps root", "runAsNonRoot: true", "", []string{"restricted: runAsNonRoot != true"}},
		{"no seccomp", "seccompProfile: {type: RuntimeDefault}", "", []string{"restricted: seccompProfile"}},
		{"host's processes", "shareProcessNamespace: true", "shareProcessNamespace: true\n  hostPID: true", []string{"restricted: host namespaces"}},
		{"a folder of the host", "configMap: {name: haproxy}", "hostPath: {path: /etc}", []string{"restricted: restricted volume types"}},
		{"latest", "haproxy:3.2", "haproxy:latest", []string{"image: haproxy:latest of container haproxy"}},
		{"no tag", "tools/podsignal:0.1.0", "tools/podsignal", []string{"image: registry.example:5000/tools/podsignal of container podsignal"}},
		{"no request of cpu", "cpu: 1m, ", "", []string{"resources: container podsignal"}},
		{"no request of memory", "cpu: 1m, memory: 16Mi", "cpu: 1m", []string{"resources: container podsignal"}},
		{"no limit", ", limits: {memory: 32Mi}", "", []string{"resources: container podsignal"}},
		{"a probe of no port", "{port: http}", "{port: https}", []string{"probe: container haproxy has no port as its startupProbe names"}},

		{"no restartPolicy", "restartPolicy: Always", "", []string{"sidecar: "}},
		{"an ordinary container", "  initContainers:\n", "", []string{"sidecar: "}},
		{"own processes only", "shareProcessNamespace: true", "", []string{"processes: "}},
		{"FILE elsewhere", `"/config/haproxy.cfg, /config/maps"`, `"/config/haproxy.cfg, /configs"`, []string{`FILE: podsignal mounts no volume at " /configs"`}},
		{"no FILE", `value: "/config/haproxy.cfg, /config/maps"`, `value: ""`, nil},
		{"no PROCESS", "name: PROCESS", "name: PROC", []string{`PROCESS: ""`}},
		{"no annotation", "podsignal/process: haproxy", "podsignal/program: haproxy", []string{`PROCESS: ""`}},
		{"a path", "podsignal/process: haproxy", "podsignal/process: /usr/sbin/haproxy", []string{"PROCESS: "}},
		{"no signal", "value: USR2", "value: USR3", []string{"SIGNAL: "}},
		{"KILL", "value: USR2", "value: KILL", []string{"SIGNAL: "}},
		{"podsignal's subPath", "mountPath: /config, readOnly: true", "mountPath: /config, readOnly: true, subPath: a", []string{"subPath: podsignal's mount"}},
		{"the program's subPath", "mountPath: /usr/local/etc/haproxy", "mountPath: /usr/local/etc/haproxy, subPathExpr: $(A)", []string{"subPath: the mount of config in container haproxy"}},
		{"writable", ", readOnly: true", "", []string{"read-only: "}},
		{"another volume", "{name: config, mountPath: /usr", "{name: other, mountPath: /usr", []string{"volume: no other container mounts config"}},
		{"no such volume", "- name: config\n      configMap", "- name: conf\n      configMap", []string{"volume: the pod has none named config"}},
		{"another uid", "securityContext: {capabilities", "securityContext: {runAsUser: 100, capabilities", []string{"uid: podsignal runs as 99, container haproxy as 100"}},
		{"another uid, and root", "port: 9533}}\n      securityContext: {allow", "port: 9533}}\n      securityContext: {runAsUser: 0, allow", []string{"restricted: runAsUser=0", "uid: podsignal runs as 0, container haproxy as 99"}},
		{"the capability KILL", "port: 9533}}\n      securityContext: {allowPrivilegeEscalation: false, capabilities: {", "port: 9533}}\n      securityContext: {runAsUser: 0, allowPrivilegeEscalation: false, capabilities: {add: [KILL], ", []string{"restricted: unrestricted capabilities", "restricted: runAsUser=0"}},
		{"an unknown uid", "runAsUser: 99", "", []string{"uid: that of container haproxy is not known"}},

		{"a call", "- {name: SIGNAL, value: USR2}", "- {name: RELOAD_URL, value: \"http://127.0.0.1:8080/reload\"}", nil},
		{"a call and a signal", "- {name: SIGNAL, value: USR2}", "- {name: SIGNAL, value: USR2}\n        - {name: RELOAD_URL, value: \"http://[::1]:8080/reload\"}", []string{"SIGNAL: RELOAD_URL is set"}},
		{"a call of another port", "- {name: SIGNAL, value: USR2}", "- {name: RELOAD_URL, value: \"http://localhost:80/reload\"}", []string{"RELOAD_URL: http://localhost:80/reload is at no port"}},
		{"a call of podsignal", "- {name: SIGNAL, value: USR2}", "- {name: RELOAD_URL, value: \"http://localhost:9533/reload\"}", []string{"RELOAD_URL: "}},
		{"a call of another pod", "- {name: SIGNAL, value: USR2}", "- {name: RELOAD_URL, value: \"http://haproxy:8080/reload\"}", []string{"RELOAD_URL: "}},

		{"rules without their own", "name: FILE,", "name: RULES, value: \"web, a-b\"}\n        - {name: FILE,", nil},
		{"a rule's FILE elsewhere", "name: FILE,", "name: RULES, value: \"web,a-b\"}\n        - {name: A_B_FILE, value: /configs}\n        - {name: FILE,", []string{`A_B_FILE: podsignal mounts no volume at "/configs"`}},
		{"a rule without FILE", "name: FILE,", "name: RULES, value: \"web,a-b\"}\n        - {name: WEB_FILE,", nil},
		{"a rule's path", "name: FILE,", "name: RULES, value: \"web\"}\n        - {name: WEB_PROCESS, value: /sbin/web}\n        - {name: FILE,", []string{"WEB_PROCESS: "}},
		{"a rule's call, beside the others' signal", "name: FILE,", "name: RULES, value: \"web\"}\n        - {name: WEB_RELOAD_URL, value: \"http://localhost:8080/\"}\n        - {name: FILE,", nil},
		{"a rule's call and signal", "name: FILE,", "name: RULES, value: \"web\"}\n        - {name: WEB_SIGNAL, value: HUP}\n        - {name: WEB_RELOAD_URL, value: \"http://localhost:8080/\"}\n        - {name: FILE,", []string{"WEB_SIGNAL: RELOAD_URL is set"}},
		{"a rule's signal", "name: FILE,", "name: RULES, value: \"web\"}\n        - {name: WEB_SIGNAL, value: KILL}\n        - {name: FILE,", []string{"WEB_SIGNAL: "}},

		{"LISTEN on loopback", `":9533"`, `"127.0.0.1:9533"`, []string{"LISTEN: the kubelet cannot reach 127.0.0.1:9533"}},
		{"LISTEN not declared", "      ports:\n        - {name: podsignal, containerPort: 9533}\n", "", []string{"probe: container podsignal", "LISTEN: containerPort 9533 is missing", "LISTEN: livenessProbe asks port 0"}},
		{"LISTEN on another port", `":9533"`, `":9534"`, []string{"LISTEN: containerPort 9534 is missing", "LISTEN: port podsignal 9533 is not", "LISTEN: livenessProbe asks port 9533", "LISTEN: readinessProbe asks port 9533"}},
		{"no LISTEN", "name: LISTEN", "name: LISTN", []string{"LISTEN: port podsignal 9533 is not", "LISTEN: livenessProbe asks port 9533", "LISTEN: readinessProbe asks port 9533"}},
		{"another name of the port", "{name: podsignal, containerPort: 9533}", "{name: metrics, containerPort: 9533}", []string{"probe: container podsignal", "LISTEN: port metrics 9533 is not podsignal 9533", "LISTEN: livenessProbe asks port 0"}},
		{"a page that is none", "path: /readyz", "path: /ready", []string{"LISTEN: readinessProbe does not get /healthz or /readyz"}},
		{"restart while out of sync", "path: /healthz", "path: /readyz", []string{"LISTEN: livenessProbe does not get /healthz"}},
		{"a probe of another port", "port: 9533}}", "port: 9534}}", []string{`LISTEN: readinessProbe asks port 9534, podsignal listens at ":9533"`}},
	}
	if found := broken(t, "", ""); len(found) > 0 {
		t.Fatalf("faults of the pod as it is: %q", found)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := broken(t, tt.old, tt.new)
			if !slices.EqualFunc(found, tt.want, strings.HasPrefix) {
				t.Errorf("faults are %q, want %q", found, tt.want)
			}
		})
	}
}

// TestHoldFaults is the same of a pod that is held.
func TestHoldFaults(t *testing.T) {
	held := []string{
		"- {name: SIGNAL, value: USR2}", "- {name: SIGNAL, value: USR2}\n        - {name: HOLD, value: /podinfo/approved}",
		"mountPath: /config, readOnly: true}", "mountPath: /config, readOnly: true}\n        - {name: podinfo, mountPath: /podinfo, readOnly: true}",
		"configMap: {name: haproxy}", "configMap: {name: haproxy}\n    - name: podinfo\n      downwardAPI: {items: [{path: approved, fieldRef: {fieldPath: \"metadata.annotations['podsignal/approved']\"}}]}",
	}
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"as it is", "", "", nil},
		{"mounted elsewhere", "mountPath: /podinfo", "mountPath: /info", []string{"HOLD: podsignal mounts no volume at /podinfo/approved", "volume: no other container mounts podinfo"}},
		{"writable", "/podinfo, readOnly: true", "/podinfo", []string{"read-only: podsignal only reads podinfo"}},
		{"by subPath", "/podinfo, readOnly: true", "/podinfo, readOnly: true, subPath: a", []string{"subPath: podsignal's mount of podinfo"}},
		{"for the program", "haproxy}", "haproxy}\n        - {name: podinfo, mountPath: /etc/podinfo}", []string{"HOLD: container haproxy mounts podinfo too"}},
		{"another annotation", "podsignal/approved", "podsignal/aproved", []string{"HOLD: /podinfo/approved is not the annotation"}},
		{"another file", "path: approved", "path: list", []string{"HOLD: /podinfo/approved is not the annotation"}},
		{"no volume", "- name: podinfo", "- name: other", []string{"HOLD: /podinfo/approved is not the annotation"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			objects, err := decode([]byte(strings.Replace(strings.NewReplacer(held...).Replace(sound), tt.old, tt.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			_, pod, _ := podOf(objects[0])
			if found := faults(pod); !slices.EqualFunc(found, tt.want, strings.HasPrefix) {
				t.Errorf("faults are %q, want %q", found, tt.want)
			}
		})
	}
}

// broken returns the faults of the pod with to in place of from.
func broken(t *testing.T, from, to string) []string {
	t.Helper()
	if !strings.Contains(sound, from) {
		t.Fatalf("no %q in the pod", from)
	}
	objects, err := decode([]byte(strings.Replace(sound, from, to, 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, pod, _ := podOf(objects[0])
	return faults(pod)
}

func TestDecode(t *testing.T) {
	const (
		configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
		monitor   = "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\n"
	)
	objects, err := decode([]byte("# a file\n---\n" + configMap + "---\n" + monitor))
	if err != nil || len(objects) != 2 {
		t.Fatalf("%d objects, want 2 (%v)", len(objects), err)
	}
	tests := []struct {
		name, content, want string
	}{
		{"a field that is none", configMap + "date: {}\n", `unknown field "date"`},
		{"in another case", configMap + "Data: {}\n", `unknown field "Data"`},
		{"in the second document", configMap + "---\n" + configMap + "date: {}\n", "document 2: "},
		{"a key that comes twice", configMap + "data: {}\ndata: {}\n", `key "data" already set`},
		{"another type", configMap + "data: {port: 80}\n", "cannot unmarshal number"},
		{"an unknown kind", "apiVersion: v1\nkind: ConfigMaps\n", `no kind "ConfigMaps"`},
		{"an unknown group", "apiVersion: example.com/v1\nkind: ConfigMap\n", `no kind "ConfigMap" is registered for version "example.com/v1"`},
		{"no kind", "data: {}\n", "'Kind' is missing"},
		{"no YAML", "a: b: c\n", "mapping values are not allowed"},
		{"a field that the operator has not", monitor + "spec: {endpoints: []}\n", `unknown field "spec.endpoints"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decode([]byte(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestDecodeKustomization(t *testing.T) {
	const component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
	if _, err := decodeKustomization([]byte(component)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, content, want string
	}{
		{"a field that is none", component + "patch: []\n", `unknown field "patch"`},
		{"a key that comes twice", component + "patches: []\npatches: []\n", `key "patches" already set`},
		{"another kind", "kind: Customization\n", "kind should be"},
		{"another version", "apiVersion: kustomize.config.k8s.io/v1\nkind: Component\n", "apiVersion for Component should be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decodeKustomization([]byte(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestComplaints(t *testing.T) {
	found := map[string][]string{
		"a.yaml": {"rule: one (Pod/a)", "rule: two (Pod/a)"},
		"b.yaml": {"rule: one (Pod/b)"},
	}
	got := complaints(found, []exception{
		{"a.yaml", "rule: one", ""},
		{"b.yaml", "rule: two", ""},
	})
	want := []string{
		"a.yaml: rule: two (Pod/a)",
		"b.yaml: no fault \"rule: two\" any more: remove its exception",
		"b.yaml: rule: one (Pod/b)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - and got +:\n%s", diff)
	}
}

func TestNothingToFind(t *testing.T) {
	objects, err := decode([]byte(strings.NewReplacer("name: FILE", "name: FILES", "configMap: {name: haproxy}", "emptyDir: {}").Replace(sound)))
	if err != nil {
		t.Fatal(err)
	}
	_, pod, _ := podOf(objects[0])
	want := []string{"FILE: it is not set, and podsignal mounts no ConfigMap, Secret or projected volume"}
	if found := faults(pod); !slices.Equal(found, want) {
		t.Errorf("faults are %q, want %q", found, want)
	}
}
