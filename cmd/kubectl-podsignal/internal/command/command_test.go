package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

// said is what the plugin has printed, and its exit status.
type said struct {
	out, err string
	status   int
}

// run runs the plugin against a server, in the namespace default.
func run(t *testing.T, s *apitest.Server, args ...string) said {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	status := Run(t.Context(), append(args, "--kubeconfig="+kubeconfig, "--cache-dir="+t.TempDir(), "--server="+s.URL, "--namespace=default"), streams)
	return said{out.String(), errOut.String(), status}
}

func (s said) String() string {
	return fmt.Sprintf("exit %d\n%s\n-- stderr\n%s", s.status, s.out, s.err)
}

// want checks the exit status, and that each pattern matches the output; one that begins with ! must
// not.
func (s said) want(t *testing.T, status int, patterns ...string) {
	t.Helper()
	if s.status != status {
		t.Errorf("the exit status is not %d: %v", status, s)
	}
	for _, p := range patterns {
		pattern, not := strings.CutPrefix(p, "!")
		if regexp.MustCompile(`(?m)`+pattern).MatchString(s.out+s.err) == not {
			t.Errorf("%q: %v", p, s)
		}
	}
}

func podOf(s *apitest.Server, name string) *corev1.Pod {
	return apitest.Get(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
}

// annotated are the pods that have an annotation, by their names.
func annotated(s *apitest.Server, d *apitest.Deployment, key string) (names []string) {
	for name := range d.Running() {
		if pod := podOf(s, name); pod != nil && pod.Annotations["podsignal/"+key] != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestStatus(t *testing.T) {
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 3)
	run(t, s, "status", "deployment/web").want(t, 0,
		`^POD +NODE +PROCESS +ON DISK +RUNNING +WANTED +OUTCOME +AGE +VERDICT$`,
		`^web-0002 +node-1 +nginx +([0-9a-f]{12}) +[0-9a-f]{12} +[0-9a-f]{12} +- +\d+s +live$`,
		`^3 of 3 pods live$`)

	// One is refused, one is late, one has no podsignal; and others do not count.
	d.Outcome = func(string, string) string { return "refused" }
	d.Set("broken")
	d.Deaf["web-0001"], d.Deaf["web-0002"] = true, true
	run(t, s, "sync", "pod/web-0000").want(t, 1, `^web-0000: refused after \d\.\d s: the program runs what it ran before: fix the files; see its log$`, `^0 of 1 pod live, 1 refused$`)
	add := func(name string, change func(*corev1.Pod)) {
		pod := d.AddPod(name)
		change(pod)
		s.Put(pod)
	}
	add("web-done", func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodSucceeded })
	add("web-gone", func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
	add("web-plain", func(pod *corev1.Pod) { pod.Spec.InitContainers = nil })
	add("web-start", func(pod *corev1.Pod) {
		pod.Status.InitContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
	})
	add("web-unborn", func(pod *corev1.Pod) { pod.Spec.NodeName, pod.Status = "", corev1.PodStatus{Phase: corev1.PodPending} })
	got := run(t, s, "status", "-l", "app=web")
	got.want(t, 1,
		`^web-0000 .* refused$`,
		`^web-0001 .* waiting for the kubelet$`,
		`^web-done +node-1 +- +- +- +- +- +- +completed$`,
		`^web-gone .* deleted$`,
		`^web-plain .* without podsignal$`,
		`^web-start: pending: the container podsignal is waiting: ImagePullBackOff$`,
		`^web-unborn: pending: the pod has no node yet$`,
		`^web-0001: waiting for the kubelet: /etc/nginx is not up to date$`,
		`^0 of 5 pods live, 2 waiting for the kubelet, 2 pending, 1 refused; not counted: 1 completed, 1 deleted, 1 without podsignal$`)
	row := regexp.MustCompile(`(?m)^web-0000 +node-1 +nginx +(\S+) +(\S+) +(\S+) +refused`).FindStringSubmatch(got.out)
	if row == nil || row[1] == row[2] || row[1] != row[3] {
		t.Errorf("digests of the refused: %q", row)
	}
	row = regexp.MustCompile(`(?m)^web-0001 +node-1 +nginx +(\S+) +(\S+) +(\S+) `).FindStringSubmatch(got.out)
	if row == nil || row[1] != row[2] || row[1] == row[3] {
		t.Errorf("digests of the late: %q", row)
	}
	run(t, s, "status", "-A", "-o", "wide").want(t, 1, `^NAMESPACE +POD .* VERDICT +FILE$`, `^default +web-0000 .* refused +/etc/nginx$`, `^default/web-0000: refused: `)

	var doc document
	if err := json.Unmarshal([]byte(run(t, s, "status", "-o", "json").out), &doc); err != nil {
		t.Fatal(err)
	}
	p := doc.Pods[0]
	if p.Pod != "web-0000" || p.Verdict != "refused" || !p.Counted || p.Container != "podsignal" || len(p.Rules) != 1 {
		t.Errorf("%+v", p)
	} else if path := p.Rules[0].Paths[0]; path.Wanted == nil || path.Digest != *path.Wanted || len(path.Digest) != 64 || path.Digest[:12] != p.Rules[0].OnDisk {
		t.Errorf("%+v", p.Rules[0])
	}
	if doc.Summary.Counted != 5 || doc.Summary.Live != 0 || doc.Summary.Pods["waiting for the kubelet"] != 2 {
		t.Errorf("%+v", doc.Summary)
	}
}

func TestSelection(t *testing.T) {
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 2)
	d.AddPod("lonely")
	lonely := podOf(s, "lonely")
	lonely.Labels, lonely.OwnerReferences = nil, []metav1.OwnerReference{{UID: "job-1", Kind: "Job", Name: "night-1", Controller: new(true)}}
	s.Put(lonely)
	s.Put(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}}})
	s.Put(cronJob("night"), job("night-1", "night"), job("other", ""))
	s.Put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "web-0000", Labels: map[string]string{"app": "web"}}})
	for args, want := range map[string]string{
		"deployment/web":              `^2 of 2 pods live$`,
		"deploy web":                  `^2 of 2 pods live$`,
		"deployments":                 `^2 of 2 pods live$`,
		"service/web":                 `^2 of 2 pods live$`,
		"pod/lonely pod/web-0001":     `^2 of 2 pods live$`,
		"pod/lonely deploy/web":       `^3 of 3 pods live$`,
		"cronjob/night":               `^1 of 1 pod live$`,
		"deploy/web --all-namespaces": `a resource cannot be retrieved by name across all namespaces`,
		"":                            `^3 of 3 pods live$`,
		"-A":                          `^3 of 3 pods live; not counted: 1 without podsignal$`,
		"-l app=none":                 `^error: none of the pods that are meant has podsignal: `,
		"deploy/none":                 `^error: deployments.apps "none" not found$`,
		"configmap/web":               `^error: configmaps/web: it has no selector of pods: use TYPE/NAME of a workload, such as deployment/web$`,
	} {
		t.Run(args, func(t *testing.T) {
			got := run(t, s, append([]string{"status"}, strings.Fields(args)...)...)
			if !regexp.MustCompile(`(?m)` + want).MatchString(got.out + got.err) {
				t.Errorf("want %s: %v", want, got)
			}
		})
	}
}

// TestUsage: wrong command lines end with 2, and nothing is asked of the server.
func TestUsage(t *testing.T) {
	s := apitest.New(t)
	for args, want := range map[string]string{
		"statsu":                            `unknown command "statsu": use status, sync, rollout, send, digest or version`,
		"status -o yaml":                    `-o="yaml" is not valid: use json or wide`,
		"status --none":                     `unknown flag: --none`,
		"status -l a=(":                     `--selector="a=\(" is not valid: use such as app=web: `,
		"status web pod/web":                `there is no need to specify a resource type as a separate argument`,
		"status nothing/web":                `the server doesn't have a resource type "nothing"`,
		"sync --timeout=0s":                 `--timeout=0s is not valid: use a duration such as 2m`,
		"sync --timeout=5":                  `invalid argument "5" for "--timeout" flag`,
		"rollout --batch=0":                 `--batch=0 is not valid: use a number of pods, such as 5`,
		"rollout --batch=2 --approve-all":   `--batch and --approve-all exclude each other: use one of them`,
		"send deployment/web --batch=-1":    `--batch=-1 is not valid: use a number of pods, such as 5`,
		"status --kubeconfig=/none/of/them": `/none/of/them: no such file`,
	} {
		t.Run(args, func(t *testing.T) {
			if strings.Contains(args, "--kubeconfig") {
				streams, _, out, errOut := genericiooptions.NewTestIOStreams()
				status := Run(t.Context(), strings.Fields(args), streams)
				said{out.String(), errOut.String(), status}.want(t, 2, `^error: .*`+want)
				return
			}
			run(t, s, strings.Fields(args)...).want(t, 2, `^error: .*`+want)
		})
	}
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("requests: %v", got)
	}
}

func TestDigest(t *testing.T) {
	const manifests = `
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: "1"}
binaryData: {b: AP8=}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Secret, metadata: {name: tls, namespace: web}, data: {a: MQ==}, stringData: {b: "x"}}
  - {apiVersion: v1, kind: Service, metadata: {name: web}}
  - {apiVersion: example.com/v1, kind: ConfigMap, metadata: {name: other}}
`
	digest := func(content string) (out, errOut *bytes.Buffer, status int) {
		file := filepath.Join(t.TempDir(), "manifests.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		streams, _, out, errOut := genericiooptions.NewTestIOStreams()
		return out, errOut, Run(t.Context(), []string{"digest", "-f", file}, streams)
	}
	out, errOut, status := digest(manifests)
	// printf '%s  a\0%s  b\0' "$(printf 1 | sha256sum | cut -c -64)" "$(printf '\0\377' | sha256sum | cut -c -64)" | sha256sum
	const want = "066d57b78ee2c3cab2f740a9a9679f019028d4465e9eff6fc722c17fece84653  configmap/conf\n" +
		"103c7c7dfd6497ba937745def56b01e06be1dd9fef235d4ee4f0ffdb23daaf4e  secret/tls\n"
	if out.String() != want || status != 0 {
		t.Errorf("exit %d, %s\n%s\nwant\n%s", status, errOut, out, want)
	}
	if _, errOut, status := digest("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"); status != 2 || !strings.Contains(errOut.String(), "there is no ConfigMap or Secret in it") {
		t.Errorf("exit %d, %s", status, errOut)
	}
	if _, errOut, status := digest("apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\ndata: {a: '?'}\n"); status != 1 || !strings.Contains(errOut.String(), "secret/tls: ") {
		t.Errorf("exit %d, %s", status, errOut)
	}
}
