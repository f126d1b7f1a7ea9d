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
	"sync"
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
		"-l app=none":                 `^error: no pod with podsignal is running$`,
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

func TestSync(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 6)
	d.Kubelet = 300 * time.Millisecond
	d.Set("second")
	d.AddPod("web-new") // has it from its start
	run(t, s, "sync", "deployment/web").want(t, 0, `^web-0005: live after \d\.\d s$`, `^web-new: live after 0\.\d s$`, `^7 of 7 pods live$`)
	if got := annotated(s, d, "synced-at"); len(got) != 6 || slices.Contains(got, "web-new") {
		t.Errorf("annotated were %q", got)
	}
	at := podOf(s, "web-0000").Annotations["podsignal/synced-at"]
	if when, err := time.Parse(time.RFC3339, at); err != nil || time.Since(when) > time.Minute || !strings.HasSuffix(at, "Z") {
		t.Errorf("synced-at is %q", at)
	}
	if got := s.Requests(); got["patch pods"] != 6 || got["watch pods"] != 1 {
		t.Errorf("requests: %v", got)
	}

	// Nothing is left to do.
	run(t, s, "sync").want(t, 0, `^7 of 7 pods live$`)
	if got := s.Requests(); got["patch pods"] != 6 {
		t.Errorf("requests: %v", got)
	}
}

// TestSyncFails: what does not become live is told, and the rest is not kept waiting by it.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 6)
	d.Deaf["web-0003"] = true
	outcomes := map[string]string{"web-0000": "refused", "web-0001": "invalid", "web-0002": "died", "web-0004": "unseen"}
	d.Outcome = func(pod, _ string) string { return outcomes[pod] }
	d.Set("second")
	run(t, s, "sync", "--timeout=2s").want(t, 1,
		`^web-0000: refused after [01]\.\d s: the program runs what it ran before: `,
		`^web-0001: invalid after [01]\.\d s: VALIDATE has rejected the files: `,
		`^web-0002: died after [01]\.\d s: the program has died of the files: `,
		`^web-0003: waiting for the kubelet after [23]\.\d s: /etc/nginx is not up to date; it is not live after 2s$`,
		`^web-0004: pending after [23]\.\d s: nothing tells yet that it runs: `,
		`^web-0005: live after [01]\.\d s$`,
		`^1 of 6 pods live, 1 waiting for the kubelet, 1 pending, 1 refused, 1 invalid, 1 died$`)
	run(t, s, "sync", "--timeout=1s", "-o", "json").want(t, 1, `"refused": 1`, `!^web-0000: `)
}

// TestSyncHeld: sync approves nothing.
func TestSyncHeld(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 2)
	d.Hold = true
	d.Set("second")
	run(t, s, "sync").want(t, 1, `^web-0000: held after [01]\.\d s: /podinfo/approved does not have its digest: use kubectl podsignal rollout$`, `^0 of 2 pods live, 2 held$`)

	// One that was approved before the kubelet delivers is awaited.
	d.Set("third")
	digest := strings.Fields(digestOfManifest(t, "web", "third"))[0]
	for _, name := range []string{"web-0000", "web-0001"} {
		pod := podOf(s, name)
		pod.Annotations["podsignal/approved"] = digest
		s.Put(pod)
	}
	run(t, s, "sync").want(t, 0, `^2 of 2 pods live$`)
}

// digestOfManifest is what kubectl podsignal digest prints of a ConfigMap.
func digestOfManifest(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "conf.yaml")
	manifest := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {%s: %s}\n", name, apitest.Key, content)
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	if status := Run(t.Context(), []string{"digest", "-f", file}, streams); status != 0 {
		t.Fatalf("exit %d: %s", status, errOut)
	}
	return out.String()
}

// TestSyncAgain: a kubelet that has not delivered within 5 s is asked again.
func TestSyncAgain(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 1)
	took, times := s.Took, 0
	s.Took = func(pod *corev1.Pod) {
		if times++; times > 1 {
			took(pod)
		}
	}
	d.Set("second")
	run(t, s, "sync").want(t, 0, `^web-0000: live after [5-9]\.\d s$`)
	if times != 2 {
		t.Errorf("it was annotated %d times", times)
	}
}

// TestSyncChanged: the API changes while pods are on their way, and just before the end.
func TestSyncChanged(t *testing.T) {
	t.Parallel()
	for name, kubelet := range map[string]bool{"before the kubelet reads it": true, "when all have what it was": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 2)
			took, once := s.Took, sync.Once{}
			s.Took = func(pod *corev1.Pod) {
				if kubelet {
					once.Do(func() { d.Set("third") })
				}
				took(pod)
				if !kubelet {
					time.AfterFunc(100*time.Millisecond, func() { once.Do(func() { d.Set("third") }) })
				}
			}
			d.Set("second")
			run(t, s, "sync").want(t, 1, `^error: ConfigMap default/web changed meanwhile: run it again for what it has now$`)
			run(t, s, "sync").want(t, 0, `^2 of 2 pods live$`)
		})
	}
}

// TestSyncPods: pods that come and go meanwhile.
func TestSyncPods(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 3)
	d.Deaf["web-0001"] = true
	took, once := s.Took, sync.Once{}
	s.Took = func(pod *corev1.Pod) {
		once.Do(func() {
			s.Delete(podOf(s, "web-0001"))
			d.AddPod("web-new")
		})
		took(pod)
	}
	d.Set("second")
	run(t, s, "sync").want(t, 0, `^web-0001: deleted$`, `^web-new: live after `, `^3 of 3 pods live; not counted: 1 deleted$`)
}

func TestRolloutStops(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 8)
	d.Hold = true
	d.Outcome = func(string, string) string { return "refused" }
	d.Set("broken")
	run(t, s, "rollout", "deployment/web").want(t, 1, `^web-0000: refused after `, `!web-0001: `, `^0 of 8 pods live, 7 waiting for the kubelet, 1 refused$`,
		`^error: the rollout has stopped: 7 pods were not approved$`)
	if got := annotated(s, d, "approved"); !slices.Equal(got, []string{"web-0000"}) {
		t.Errorf("approved in %q", got)
	}
	for name, content := range d.Running() {
		if content != "first" {
			t.Errorf("%s runs %q", name, content)
		}
	}

	// What is right is rolled out. It takes a while: each pod is to stay ready for 10 s.
	d.Outcome = nil
	d.Set("mended")
	run(t, s, "rollout", "--approve-all").want(t, 0, `^8 of 8 pods live$`)
	want := strings.Fields(digestOfManifest(t, "web", "mended"))[0]
	for name, content := range d.Running() {
		if got := podOf(s, name).Annotations["podsignal/approved"]; content != "mended" || got != want {
			t.Errorf("%s runs %q, and its approval is %q", name, content, got)
		}
	}
}

func TestRolloutWithoutHold(t *testing.T) {
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 5)
	d.Set("second")
	run(t, s, "rollout").want(t, 2, `^error: web-0000, web-0001, web-0002 and 2 more: podsignal has no HOLD there, `, `podsignal/hold: "true"`, `kubectl podsignal sync$`)
	if got := s.Requests(); got["patch pods"] != 0 {
		t.Errorf("requests: %v", got)
	}
}

func TestSend(t *testing.T) {
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 9)
	done := d.AddPod("web-done")
	done.Status.Phase = corev1.PodFailed
	s.Put(done)
	got := run(t, s, "send", "deployment/web", "--signal=USR1")
	got.want(t, 0, `^web-0008: ok: nginx \(pid 7\): /podsignal send --signal USR1$`, `^web-done: completed$`)
	if n := s.Requests()["create pods/exec"]; n != 9 {
		t.Errorf("it was sent %d times", n)
	}

	// After the first, three at a time.
	d.Outcome = func(pod, _ string) string {
		if pod == "web-0002" {
			return "refused"
		}
		return "replaced"
	}
	got = run(t, s, "send", "deployment/web", "--unapproved", "--rule=web")
	got.want(t, 1, `^web-0002: podsignal: refused$`, `^web-0003: ok: .* --rule web --unapproved$`, `!web-0004`, `^error: podsignal send has failed in 1 pod; it was not run in 5$`)
	got = run(t, s, "send", "deployment/web", "--batch=2")
	got.want(t, 1, `^web-0003: ok: `, `!web-0004`, `it was not run in 5$`)
	run(t, s, "send").want(t, 2, `it is not said which pods are meant: use TYPE/NAME`)
	run(t, s, "send", "-l", "app=none").want(t, 1, `no pod with podsignal is running`)
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

// withRule has the podsignal of each pod have another rule beside web, of which it always says this.
func withRule(s *apitest.Server, other string) {
	exec := s.Exec
	s.Exec = func(e *apitest.Exec) int {
		status := exec(e)
		doc := strings.Replace(e.Stdout.String(), "{", `{"rule": "web", `, 1)
		e.Stdout.Reset()
		fmt.Fprintf(&e.Stdout, `{"rules": [%s, %s]}`, doc, other)
		return status
	}
}

// TestSyncRules: a rule that is no further keeps no other from what the API has.
func TestSyncRules(t *testing.T) {
	t.Parallel()
	const onDisk = `"on_disk": {"digest": "0123456789ab"}, "targets": [{"running": {"digest": "ba9876543210"}`
	for want, other := range map[string]string{
		"pending": `{"rule": "side", "pending": "no process matches", "on_disk": {"digest": "0123456789ab"}}`,
		"held":    `{"rule": "side", "hold": "/podinfo/approved", "held_since": "2026-11-27T05:00:00Z", "paths": [{"path": "/x", "digest": "x"}], ` + onDisk + `}]}`,
		"refused": `{"rule": "side", ` + onDisk + `, "rejected": {"digest": "0123456789ab", "outcome": "refused"}}]}`,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 2)
			d.Kubelet = 100 * time.Millisecond
			withRule(s, other)
			d.Set("second")
			run(t, s, "sync", "--timeout=3s").want(t, 1, `^web-0000: `+want+` after .*: rule side: `, `!rule web: `)
			for name, content := range d.Running() {
				if content != "second" {
					t.Errorf("%s runs %q", name, content)
				}
			}
		})
	}
}

// TestSubPath: a subPath mount shows no update, which podsignal sees only when the kubelet has
// removed what is mounted.
func TestSubPath(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.PodSpec)
		want   string
	}{
		"podsignal's": {
			func(spec *corev1.PodSpec) { spec.InitContainers[0].VolumeMounts[0].SubPath = "nginx.conf" },
			"the container podsignal mounts the volume conf by subPath, and such mounts are never updated: mount the folder",
		},
		"podsignal's, below FILE": {
			func(spec *corev1.PodSpec) {
				spec.InitContainers[0].VolumeMounts[0] = corev1.VolumeMount{Name: "conf", MountPath: "/etc/nginx/nginx.conf", SubPath: "nginx.conf"}
			},
			"the container podsignal mounts the volume conf by subPath, and such mounts are never updated: mount the folder",
		},
		"the program's": {
			func(spec *corev1.PodSpec) {
				spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "conf", MountPath: "/etc/nginx/nginx.conf", SubPathExpr: "$(NAME)"}}
			},
			"the container nginx mounts the volume conf by subPath, and such mounts are never updated: mount the folder",
		},
		"beside the folder": {
			func(spec *corev1.PodSpec) {
				spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "conf", MountPath: "/etc/nginx/nginx.conf", SubPath: "nginx.conf"}, {Name: "conf", MountPath: "/etc/nginx"}}
			},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 1)
			pod := podOf(s, "web-0000")
			test.change(&pod.Spec)
			s.Put(pod)
			d.Set("second")
			if test.want == "" {
				run(t, s, "sync").want(t, 0, `^1 of 1 pod live$`)
				return
			}
			run(t, s, "sync").want(t, 1, `^web-0000: pending after [01]\.\d s: `+test.want+`$`)
		})
	}
}

// TestLeftOut: what live does not mean is said.
func TestLeftOut(t *testing.T) {
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 2)
	for _, name := range []string{"web-0000", "web-0001"} {
		pod := podOf(s, name)
		pod.Spec.InitContainers[0].VolumeMounts[0].MountPath = "/etc/nginx/conf.d"
		s.Put(pod)
	}
	d.Set("second")
	const note = `^note: it is not known whether this is up to date: /etc/nginx: volumes are mounted in it: name their folders in FILE$`
	for _, command := range []string{"status", "sync"} {
		got := run(t, s, command)
		got.want(t, 0, note)
		if n := strings.Count(got.err, "note: "); n != 1 {
			t.Errorf("%d notes: %v", n, got)
		}
	}
}
