package command

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

func cronJob(name string) *batchv1.CronJob {
	return &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "cronjob-1"}}
}

// job is one of a CronJob, or of nobody.
func job(name, owner string) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "job-1"}}
	if owner == "" {
		j.UID = "job-2"
		return j
	}
	j.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: owner, UID: "cronjob-1", Controller: new(true)}}
	return j
}

// TestMissingRights: an error names the right that is missing.
func TestMissingRights(t *testing.T) {
	for request, verb := range map[string]string{
		"list pods": "status", "create pods/exec": "status", "get configmaps": "sync", "get deployments": "sync", "watch pods": "sync", "patch pods": "sync",
	} {
		t.Run(request, func(t *testing.T) {
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 1)
			d.Set("second")
			s.Deny(request)
			got := run(t, s, verb, "deployment/web")
			if request == "get configmaps" { // then what is wanted is told from other pods
				got.want(t, 0, `^note: the pods are compared with each other: .* cannot get resource "configmaps"`)
				return
			}
			words := map[string]string{
				"list pods": `list resource "pods"`, "create pods/exec": `create resource "pods/exec"`, "get deployments": `get resource "deployments"`,
				"watch pods": `watch resource "pods"`, "patch pods": `patch resource "pods"`,
			}[request]
			got.want(t, 1, `^error: .* cannot `+words+` .*: examples/fleet has the roles that give this right$`)
		})
	}
}

// TestCompared: without the right to read what is wanted, the pods are compared with each other.
func TestCompared(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 3)
	d.Set("second")
	d.AddPod("web-new")
	s.Deny("get configmaps")
	run(t, s, "status").want(t, 1,
		`^note: the pods are compared with each other: configmaps "web" is forbidden: `,
		`^web-0000 .* waiting for the kubelet$`,
		`^web-new .* live$`,
		`^1 of 4 pods live, 3 waiting for the kubelet$`)
	run(t, s, "sync").want(t, 0, `^note: `, `^4 of 4 pods live$`)
	if got := annotated(s, d, "synced-at"); len(got) != 4 {
		t.Errorf("annotated were %q", got)
	}

	// All have the same, and it is old: only their kubelets know.
	d.Set("third")
	run(t, s, "sync").want(t, 0, `^4 of 4 pods live$`)
	for name, content := range d.Running() {
		if content != "third" {
			t.Errorf("%s runs %q", name, content)
		}
	}
}

// TestBrokenServer: what fails once is tried again, and told if it goes on.
func TestBrokenServer(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 2)
	d.Set("second")
	s.Break("get configmaps", true)
	run(t, s, "status").want(t, 1, `^web-0001: pending: reading ConfigMap default/web: etcdserver: request timed out$`)
	time.AfterFunc(time.Second, func() { s.Break("get configmaps", false) })
	run(t, s, "sync").want(t, 0, `^2 of 2 pods live$`)

	d.Set("third")
	s.Break("patch pods", true)
	run(t, s, "sync", "--timeout=1s").want(t, 1, `^web-0001: waiting for the kubelet after .*; it cannot be annotated: etcdserver: request timed out; it is not live after 1s$`)
	time.AfterFunc(time.Second, func() { s.Break("patch pods", false) })
	run(t, s, "sync").want(t, 0, `^2 of 2 pods live$`)
}

// TestUnanswered: a pod whose podsignal cannot be asked is no reason to give up.
func TestUnanswered(t *testing.T) {
	s := apitest.New(t)
	apitest.NewDeployment(s, "web", 4)
	exec := s.Exec
	answers := map[string]func(e *apitest.Exec) int{
		"web-0001": func(*apitest.Exec) int { return 3 },
		"web-0002": func(e *apitest.Exec) int { e.Stdout.WriteString("sh: not found"); return 0 },
		"web-0003": func(e *apitest.Exec) int {
			e.Stderr.WriteString("podsignal: \x1b[31mthat is forbidden: unknown arguments\n")
			return 2
		},
	}
	s.Exec = func(e *apitest.Exec) int {
		if answer := answers[e.Pod.Name]; answer != nil {
			return answer(e)
		}
		return exec(e)
	}
	run(t, s, "status").want(t, 1,
		`^web-0001: pending: podsignal cannot be asked: podsignal does not run in the container podsignal$`,
		`^web-0002: pending: podsignal cannot be asked: podsignal status --json prints no JSON: `,
		`^web-0003: pending: podsignal cannot be asked: it has no podsignal status --json, .* version \(podsignal: \^\[\[31mthat is forbidden: unknown arguments\)$`,
		`^1 of 4 pods live, 3 pending$`)
}

// TestComparedTooEarly: that all pods have the same tells nothing as long as no kubelet was asked, or
// has had the time to deliver.
func TestComparedTooEarly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		timeout, want string
		broken        bool
	}{
		"not annotated": {"7s", `waiting for the kubelet after .*: it cannot be annotated: .*; it is not live after 7s$`, true},
		"no time":       {"1s", `waiting for the kubelet after .*: it is not live after 1s$`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 2)
			d.Kubelet = 2 * time.Second
			d.Set("second")
			s.Deny("get configmaps")
			s.Break("patch pods", test.broken)
			run(t, s, "sync", "--timeout="+test.timeout).want(t, 1, `^web-0000: `+test.want, `^0 of 2 pods live, 2 waiting for the kubelet$`)
		})
	}
}
