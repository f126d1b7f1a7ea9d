//go:build admission

package admission_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

func TestAdmission(t *testing.T) {
	s := startServer(t, "")
	s.waitPolicies(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *server)
	}{
		{"like inject", testLikeInject},
		{"left alone", testLeftAlone},
		{"values", testValues},
		{"files of a hold", testHeldFiles},
		{"workloads", testWorkloads},
		{"updates", testUpdates},
		{"levels of Pod Security", testLevels},
		{"many", testMany},
		{"limit range", testLimitRange},
		{"parameter", testParameter},
		{"rights of the plugin", testRights},
		{"guard of the plugin", testGuard},
		{"deny", testDeny},
		{"uninstalled", testUninstalled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

// Before 1.36 the API is v1beta1, behind a feature gate. The API server of 1.36 behaves as an older
// one does.
func TestOlderVersions(t *testing.T) {
	for _, version := range []string{"1.34", "1.35"} {
		t.Run(version, func(t *testing.T) {
			s := startServer(t, version)
			s.waitPolicies(t)
			testLeftAlone(t, s)
			testGuard(t, s)
		})
	}
}

// waitPolicies waits until both policies are in force, which takes the API server a moment.
func (s *server) waitPolicies(t *testing.T) {
	t.Helper()
	s.wait(t, "the policies", func() string {
		a := s.create(t, pod("{podsignal/process: nginx, podsignal/x: x}", simple))
		if sidecar(a.object) == nil || len(a.warnings) == 0 {
			return fmt.Sprint(a.warnings, a.body)
		}
		return ""
	})
}

const simple = `
containers:
- {name: nginx, image: nginx:1.28, volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]}
volumes: [{name: conf, configMap: {name: conf}}]`

// pod is one with these annotations and this spec.
func pod(annotations, spec string) object {
	return object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": "web", "namespace": "privileged", "annotations": parse(annotations)},
		"spec":     parse(spec),
	}
}

func in(namespace string, o object) object {
	o["metadata"].(object)["namespace"] = namespace
	return o
}

func parse(text string) (o object) {
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		panic(fmt.Sprintf("%v:\n%s", err, text))
	}
	return o
}

// sidecar is the container podsignal of a pod, or nil.
func sidecar(pod object) object {
	spec, _ := pod["spec"].(object)
	for _, key := range []string{"initContainers", "containers"} {
		containers, _ := spec[key].([]any)
		for _, c := range containers {
			if c.(object)["name"] == "podsignal" {
				return c.(object)
			}
		}
	}
	return nil
}

// wantAdmitted says that the pod is created, with podsignal or without.
func wantAdmitted(t *testing.T, a answer, with bool) {
	t.Helper()
	if a.code != 201 {
		t.Fatalf("the pod is blocked: %s", a.body)
	}
	if (sidecar(a.object) != nil) != with {
		t.Fatalf("podsignal is there: %v, want %v (warnings %q)", !with, with, a.warnings)
	}
}

func wantWarnings(t *testing.T, a answer, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, a.warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// likeInject are pods of which the policy makes what podsignal inject makes.
var likeInject = []struct{ name, annotations, spec string }{
	{"a process", "{podsignal/process: nginx}", simple},
	{"all annotations", `{podsignal/process: nginx, podsignal/cmdline: "nginx: master.*", podsignal/signal: USR2, podsignal/file: "/etc/nginx/conf.d, /b",
		podsignal/exclude: "**/*.md", podsignal/min-interval: 6s, podsignal/splay: 5m, podsignal/expect: none, podsignal/listen: ":9533", podsignal/hold: "true",
		podsignal/container: nginx, podsignal/volume: conf, podsignal/uid: "101"}`, simple},
	{"a dollar", "{podsignal/process: '$(HOME)', podsignal/cmdline: 'a$', podsignal/exclude: '$$'}", simple},
	{"spaces and empty values", "{podsignal/process: ' nginx ', podsignal/signal: '', podsignal/listen: ' '}", simple},
	{"reserved", "{podsignal/process: nginx, podsignal/synced-at: now, podsignal/approved: y}", simple},
	{"a hold", "{podsignal/process: nginx, podsignal/hold: ' true ', podsignal/approved: ''}", simple},
	{"no hold", "{podsignal/process: nginx, podsignal/hold: 'false'}", "volumes: [{name: podsignal-hold, secret: {secretName: x}}, {name: conf, configMap: {name: conf}}]" + strings.Split(simple, "\nvolumes")[0]},
	{"a hold, a URL and other volumes of the downward API", "{podsignal/reload-url: 'http://localhost/', podsignal/hold: 'true', podsignal/file: '/conf, /etc/podinfo'}", `
containers:
- {name: web, image: web, volumeMounts: [{name: labels, mountPath: /podinfo}, {name: conf, mountPath: /conf}]}
volumes:
- {name: labels, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
- {name: conf, configMap: {name: conf}}`},
	{"a hold of volumes by name", "{podsignal/process: nginx, podsignal/hold: 'true', podsignal/volume: labels}", `
containers:
- {name: web, image: web, volumeMounts: [{name: labels, mountPath: /labels}, {name: conf, mountPath: /conf}]}
volumes:
- {name: labels, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
- {name: conf, configMap: {name: conf}}`},
	{"a hold whose volume is there", "{podsignal/process: nginx, podsignal/hold: 'true'}", strings.Replace(simple, "volumes: [",
		`volumes: [{name: podsignal-hold, downwardAPI: {items: [{path: approved, fieldRef: {fieldPath: "metadata.annotations['podsignal/approved']"}}]}}, `, 1)},
	{"a program with another signal", "{podsignal/process: haproxy}", simple},
	{"a signal by number", "{podsignal/process: haproxy, podsignal/signal: '10'}", simple},
	{"a signal in lower case", "{podsignal/process: haproxy, podsignal/signal: sigusr2}", simple},
	{"a real-time signal", "{podsignal/process: x, podsignal/signal: '34'}", simple},
	{"a program that needs a setting", "{podsignal/process: freeradius}", simple},
	{"its setting", "{podsignal/process: freeradius, podsignal/min-interval: 1s}", simple},
	{"a program that needs another", "{podsignal/process: puma, podsignal/listen: '9533'}", simple},
	{"a program by its command line", "{podsignal/process: python3, podsignal/cmdline: 'bin/celery .*'}", simple},
	{"a name of other programs", "{podsignal/process: python3}", simple},
	{"a URL", "{podsignal/reload-url: 'http://127.0.0.1:9090/-/reload'}", simple},
	{"a URL, a listener and a group", "{podsignal/reload-url: 'http://localhost:9090/', podsignal/listen: '9533'}", `
containers:
- {name: web, image: web, securityContext: {runAsUser: 5, runAsGroup: 6}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, secret: {secretName: conf}}]`},
	{"a URL and a uid", "{podsignal/reload-url: 'http://localhost:9090/', podsignal/uid: '7'}", simple},
	{"a URL and the node's processes", "{podsignal/reload-url: 'http://localhost:9090/'}", "hostPID: true" + simple},
	{"a URL and a process", "{podsignal/process: haproxy, podsignal/reload-url: 'http://localhost:9090/'}", simple},
	{"a uid and a group", "{podsignal/process: nginx}", `
securityContext: {runAsUser: 1, runAsNonRoot: true}
containers:
- {name: nginx, image: nginx, securityContext: {runAsUser: 101, runAsGroup: 102}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"root", "{podsignal/process: nginx}", `
containers:
- {name: nginx, image: nginx, securityContext: {runAsUser: 0}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"the pod's uid", "{podsignal/process: nginx}", "securityContext: {runAsUser: 101, runAsGroup: 5, runAsNonRoot: true}" + simple},
	{"the pod's root", "{podsignal/process: nginx}", "securityContext: {runAsUser: 0}" + simple},
	{"a group alone", "{podsignal/process: nginx}", `
containers:
- {name: nginx, image: nginx, securityContext: {runAsGroup: 0, runAsNonRoot: false}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"uid 0", "{podsignal/process: nginx, podsignal/uid: '0'}", simple},
	{"the highest uid", "{podsignal/process: nginx, podsignal/uid: '2147483647'}", simple},
	{"keep", "{podsignal/process: nginx, podsignal/uid: keep}", "securityContext: {runAsNonRoot: true}" + simple},
	{"keep the pod's root", "{podsignal/process: nginx, podsignal/uid: keep}", "securityContext: {runAsUser: 0}" + simple},
	{"keep, and a uid", "{podsignal/process: nginx, podsignal/uid: keep}", `
containers:
- {name: nginx, image: nginx, securityContext: {runAsUser: 101, runAsGroup: 0}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"several volumes", "{podsignal/process: nginx}", `
containers:
- name: nginx
  image: nginx
  volumeMounts:
  - {name: conf, mountPath: /conf, readOnly: true}
  - {name: data, mountPath: /data}
  - {name: both, mountPath: /both}
  - {name: conf, mountPath: /again}
  - {name: token, mountPath: /token}
  - {name: ca, mountPath: /ca}
  - {name: labels, mountPath: /labels}
  - {name: csi, mountPath: /csi}
  - {name: tls, mountPath: /tls}
volumes:
- {name: unused, configMap: {name: unused}}
- {name: conf, configMap: {name: conf}}
- {name: data, emptyDir: {}}
- {name: tls, secret: {secretName: tls}}
- {name: both, projected: {sources: [{serviceAccountToken: {path: token}}, {secret: {name: tls}}]}}
- {name: token, projected: {sources: [{serviceAccountToken: {path: token}}]}}
- {name: ca, projected: {sources: [{configMap: {name: kube-root-ca.crt}}, {downwardAPI: {items: []}}]}}
- {name: labels, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
- {name: csi, csi: {driver: secrets-store.csi.k8s.io}}`},
	{"volumes by name", "{podsignal/process: nginx, podsignal/volume: 'csi , conf'}", `
containers:
- {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: /conf}, {name: data, mountPath: /data}, {name: csi, mountPath: /csi}]}
volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: conf}}, {name: csi, csi: {driver: secrets-store.csi.k8s.io}}]`},
	{"a volume by name, and a file", "{podsignal/process: nginx, podsignal/volume: data, podsignal/file: /data/x}", `
containers:
- {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: /conf, subPath: x}, {name: data, mountPath: /data}]}
volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: conf}}]`},
	{"other containers", "{podsignal/process: nginx, podsignal/container: nginx}", `
initContainers:
- {name: first, image: busybox, volumeMounts: [{name: conf, mountPath: /conf}]}
- {name: proxy, image: proxy, restartPolicy: Always, volumeMounts: [{name: conf, mountPath: /proxy}]}
- {name: last, image: busybox}
containers:
- {name: web, image: web, volumeMounts: [{name: conf, mountPath: /web}]}
- {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"a program that is a sidecar", "{podsignal/process: envoy}", `
initContainers: [{name: envoy, image: envoy, restartPolicy: Always, volumeMounts: [{name: conf, mountPath: /proxy}]}]
containers: [{name: web, image: web}]
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"processes that are not shared", "{podsignal/process: nginx}", "shareProcessNamespace: false" + simple},
	{"a Guaranteed pod", "{podsignal/process: nginx}", `
initContainers: [{name: first, image: busybox, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1000m, memory: 1024Mi}}}]
containers:
- {name: nginx, image: nginx, resources: {limits: {cpu: 500m, memory: 1Gi}}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"a pod that is not quite Guaranteed", "{podsignal/process: nginx}", `
containers:
- {name: nginx, image: nginx, resources: {requests: {cpu: 499m}, limits: {cpu: 500m, memory: 1Gi}}, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`},
	{"resources of the pod", "{podsignal/process: nginx}", "resources: {limits: {cpu: 1, memory: 1Gi}}" + simple},
}

func testLikeInject(t *testing.T, s *server) {
	bin := filepath.Join(t.TempDir(), "podsignal")
	if out, err := exec.Command("go", "build", "-o", bin, "../../podsignal").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range likeInject {
		t.Run(test.name, func(t *testing.T) {
			asked := pod(test.annotations, test.spec)
			content, err := json.Marshal(asked)
			if err != nil {
				t.Fatal(err)
			}
			inject := exec.Command(bin, "inject", "--image", "podsignal:"+version(t))
			inject.Stdin = bytes.NewReader(content)
			inject.Stderr = os.Stderr
			injected, err := inject.Output()
			if err != nil {
				t.Fatal(err)
			}
			want := s.create(t, parse(string(injected)))
			wantAdmitted(t, want, true)
			got := s.create(t, asked)
			wantAdmitted(t, got, true)
			if diff := cmp.Diff(specOf(want.object), specOf(got.object)); diff != "" {
				t.Errorf("the policy makes another pod than inject does (-inject +policy):\n%s", diff)
			}

			inits := got.object["spec"].(object)["initContainers"].([]any)
			if last := inits[len(inits)-1].(object); last["name"] != "podsignal" {
				t.Errorf("podsignal is not the last init container, but %v", last["name"])
			}
			again := s.create(t, clean(got.object))
			wantAdmitted(t, again, true)
			if diff := cmp.Diff(specOf(got.object), specOf(again.object)); diff != "" {
				t.Errorf("a second pass changes the pod:\n%s", diff)
			}
		})
	}
}

// clean is the object as a manifest.
func clean(o object) object {
	o = maps.Clone(o)
	o["metadata"] = object{"name": "web", "namespace": "privileged", "annotations": o["metadata"].(object)["annotations"]}
	return o
}

// specOf is the pod's, without the volume of the service account's token, whose name is random
// and which Kubernetes adds.
func specOf(pod object) object {
	spec := maps.Clone(pod["spec"].(object))
	ofToken := func(item any) bool { return strings.HasPrefix(fmt.Sprint(item.(object)["name"]), "kube-api-access-") }
	without := func(o object, key string) {
		if all, ok := o[key].([]any); ok {
			o[key] = slices.DeleteFunc(slices.Clone(all), ofToken)
		}
	}
	without(spec, "volumes")
	for _, key := range []string{"initContainers", "containers"} {
		containers, _ := spec[key].([]any)
		for _, c := range containers {
			without(c.(object), "volumeMounts")
		}
	}
	return spec
}

func testLeftAlone(t *testing.T, s *server) {
	const prefix = "podsignal is not added: "
	tests := []struct {
		name, annotations, spec string
		with                    bool
		warnings                []string
	}{
		{"no annotation", "{other: x}", simple, false, nil},
		{
			"none that asks", "{podsignal/signal: HUP, podsignal/listen: '1'}", simple, false,
			[]string{prefix + "there is podsignal/signal, podsignal/listen, but neither podsignal/process nor podsignal/reload-url"},
		},
		{"a container of that name", "{podsignal/process: nginx}", `
containers:
- {name: podsignal, image: mine, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`, true, nil},
		{"an init container of that name", "{podsignal/process: nginx}", "initContainers: [{name: podsignal, image: mine}]" + simple, true, nil},
		{
			"hostPID", "{podsignal/process: nginx}", "hostPID: true" + simple, false,
			[]string{prefix + "hostPID is true, and podsignal would see the processes of the whole node: remove hostPID"},
		},
		{"Windows", "{podsignal/process: nginx}", "os: {name: windows}" + simple, false, []string{prefix + "it is for Windows, which has no signals"}},
		{"a Windows node", "{podsignal/process: nginx}", "nodeSelector: {kubernetes.io/os: windows}" + simple, false, []string{prefix + "it is for Windows, which has no signals"}},
		{"a mirror pod", "{podsignal/process: nginx, kubernetes.io/config.mirror: x}", "nodeName: node" + simple, false, nil},
		{
			"nothing mounted", "{podsignal/process: nginx}", "containers: [{name: nginx, image: nginx}]", false,
			[]string{prefix + "no container mounts a ConfigMap, Secret or projected volume: mount what the program reads in its container, as a folder, or name other volumes by podsignal/volume"},
		},
		{
			"nothing mounted by the program", "{podsignal/process: nginx, podsignal/container: web}", "containers: [{name: web, image: web}]", false,
			[]string{prefix + "container web mounts none of the volumes: mount what the program reads in its container, as a folder, or name other volumes by podsignal/volume"},
		},
		{
			"no such container", "{podsignal/process: nginx, podsignal/container: ngin}", simple, false,
			[]string{prefix + "podsignal/container: no container that goes on running is named ngin: use nginx"},
		},
		{
			"no such volume", "{podsignal/process: nginx, podsignal/volume: 'conf, con'}", simple, false,
			[]string{prefix + "podsignal/volume: the pod has no volume named con; podsignal/volume: container nginx does not mount con"},
		},
		{"a volume that is not mounted", "{podsignal/process: nginx, podsignal/volume: data}", simple + ", {name: data, emptyDir: {}}]", false, nil},
		{"several containers", "{podsignal/process: nginx}", `
containers:
- {name: web, image: web, volumeMounts: [{name: conf, mountPath: /conf}]}
- {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`, false, []string{prefix + "several containers mount the volumes: set podsignal/container to web or nginx"}},
		{
			"subPath", "{podsignal/process: nginx}", `
containers:
- {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: /conf, subPath: x}]}
volumes: [{name: conf, configMap: {name: conf}}]`, false,
			[]string{prefix + "container nginx mounts the volume conf by subPath, which never receives updates: mount the folder, or name other volumes by podsignal/volume"},
		},
		{
			"a path with a comma", "{podsignal/process: nginx}", `
containers:
- {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: "/a,b"}]}
volumes: [{name: conf, configMap: {name: conf}}]`, false,
			[]string{prefix + "container nginx mounts the volume conf at a path with a comma, or with spaces around it: use another path"},
		},
		{
			"runAsNonRoot without a uid", "{podsignal/process: nginx}", "securityContext: {runAsNonRoot: true}" + simple, false,
			[]string{prefix + "container nginx has runAsNonRoot and no runAsUser: set podsignal/uid to the program's uid"},
		},
		{
			"root against runAsNonRoot", "{podsignal/process: nginx, podsignal/uid: '0'}", "securityContext: {runAsNonRoot: true}" + simple, false,
			[]string{prefix + "podsignal/uid is 0, and container nginx has runAsNonRoot: set podsignal/uid to the program's uid"},
		},
		{
			"a URL and a signal", "{podsignal/reload-url: 'http://localhost/', podsignal/signal: HUP}", simple, false,
			[]string{prefix + "podsignal/reload-url and podsignal/signal: podsignal calls a URL, or sends a signal: remove one of them"},
		},
		{"a port of the program", "{podsignal/process: nginx, podsignal/listen: ':8080'}", `
containers:
- {name: nginx, image: nginx, ports: [{containerPort: 8080}], volumeMounts: [{name: conf, mountPath: /conf}]}
volumes: [{name: conf, configMap: {name: conf}}]`, false, []string{prefix + "podsignal/listen: another container has the port :8080: use another"}},
		{
			"another volume for a hold", "{podsignal/process: nginx, podsignal/hold: 'true'}", strings.Replace(simple, "volumes: [", "volumes: [{name: podsignal-hold, emptyDir: {}}, ", 1), false,
			[]string{prefix + "podsignal/hold: the pod has another volume named podsignal-hold: rename that"},
		},
		{
			"other items for a hold", "{podsignal/process: nginx, podsignal/hold: 'true'}", strings.Replace(simple, "volumes: [", "volumes: [{name: podsignal-hold, downwardAPI: {items: [{path: approved, fieldRef: {fieldPath: metadata.labels}}]}}, ", 1), false,
			[]string{prefix + "podsignal/hold: the pod has another volume named podsignal-hold: rename that"},
		},
		{
			"the place of a hold", "{podsignal/process: nginx, podsignal/hold: 'true'}", strings.Replace(simple, "/etc/nginx/conf.d", "podinfo/conf", 1), false,
			[]string{prefix + "podsignal/hold: container nginx mounts the volume conf at podinfo/conf: use a path without .. and outside of /podinfo"},
		},
		{
			"a file in the place of a hold", "{podsignal/process: nginx, podsignal/hold: 'true', podsignal/file: '/etc/nginx/conf.d, /a/../podinfo'}", simple, false,
			[]string{prefix + "podsignal/hold: podsignal/file has /a/../podinfo: use paths without .. and outside of /podinfo"},
		},

		// What is a warning alone.
		{"another signal", "{podsignal/process: haproxy, podsignal/signal: HUP}", simple, true, []string{"podsignal/signal: HAProxy reloads on USR2, use that"}},
		{"a signal that ends the program", "{podsignal/process: haproxy, podsignal/signal: TERM}", simple, true, nil},
		{
			"a program that does not reload", "{podsignal/process: redis-server}", simple, true,
			[]string{"Redis does not reload on HUP: restart it, by SIGNAL=TERM (examples/restart-in-place)"},
		},
		{"a program that ends on TERM", "{podsignal/process: redis-server, podsignal/signal: TERM}", simple, true, nil},
		{"an unknown annotation", "{podsignal/process: nginx, podsignal/https-proxy: 'http://proxy'}", simple, true, []string{"unknown annotation podsignal/https-proxy: known are " + known()}},
		{"reserved annotations", "{podsignal/process: nginx, podsignal/approved: x, podsignal/synced-at: x}", simple, true, nil},
		{"one of inject", "{podsignal/process: nginx, podsignal/image: x}", simple, true, nil},
		{"one of inject, without podsignal", "{podsignal/image: x}", simple, false, []string{"podsignal/image is for podsignal inject: the policy does not honour it"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "a volume that is not mounted" {
				test.spec = strings.Replace(simple, "}}]", "}}, {name: data, emptyDir: {}}]", 1)
				test.warnings = []string{prefix + "no container mounts data: mount what the program reads in its container, as a folder"}
			}
			asked := pod(test.annotations, test.spec)
			a := s.create(t, asked)
			wantAdmitted(t, a, test.with)
			wantWarnings(t, a, test.warnings...)
			if spec := a.object["spec"].(object); !test.with && (spec["initContainers"] != nil || spec["shareProcessNamespace"] != nil) {
				t.Errorf("the pod is changed: %v", spec)
			}
		})
	}
}

func known() string {
	var keys []string
	for _, a := range annotation.All {
		keys = append(keys, a.Key())
	}
	return strings.Join(keys, ", ")
}
