package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

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
	const (
		paths  = `"paths": [{"path": "/x", "digest": "x"}], `
		onDisk = paths + `"on_disk": {"digest": "0123456789ab"}, "targets": [{"running": {"digest": "ba9876543210"}`
	)
	for want, other := range map[string]string{
		"pending": `{"rule": "side", "pending": "no process matches", ` + paths + `"on_disk": {"digest": "0123456789ab"}, "targets": []}`,
		"held":    `{"rule": "side", "hold": "/podinfo/approved", "held_since": "2026-11-27T05:00:00Z", ` + onDisk + `}]}`,
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
