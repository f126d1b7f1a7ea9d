package command

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

func TestRolloutStops(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 8)
	d.Hold = true
	d.Outcome = func(string, string) string { return "refused" }
	d.Set("broken")
	run(t, s, "rollout", "deployment/web").want(t, 1, `^web-0000: refused after `, `!web-0001: `, `^0 of 8 pods live, 7 waiting for the kubelet, 1 refused$`,
		`^error: the rollout has stopped, and 7 pods were not approved: fix the files, apply them, and roll them out$`)
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
	d.Set("fixed")
	run(t, s, "rollout", "--approve-all").want(t, 0, `^8 of 8 pods live$`)
	want := strings.Fields(digestOfManifest(t, "web", "fixed"))[0]
	for name, content := range d.Running() {
		if got := podOf(s, name).Annotations["podsignal/approved"]; content != "fixed" || got != want {
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
	run(t, s, "send", "-l", "app=none").want(t, 1, `none of the pods that are meant has podsignal: `)
}
