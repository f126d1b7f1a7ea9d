//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"strings"
	"testing"
)

// testRights has accounts with the roles of examples/fleet, and the guard over them, do what they are
// for. Its configuration is in a Secret.
func testRights(t *testing.T, c *cluster, name string) {
	for _, file := range []string{"../fleet/rights.yaml", "../fleet/guard.yaml"} {
		// What is there already is nobody's to change here: then it fails.
		c.kubectl(t, nil, "create", "-f", file)
		t.Cleanup(func() {
			if _, err := kubectl(context.Background(), nil, "delete", "-f", file, "--ignore-not-found", "--timeout=2m"); err != nil {
				t.Error(err)
			}
		})
	}
	own := *c
	own.namespace += "-rights"
	own.create(t, "baseline")
	account := func(of string) string { return "system:serviceaccount:" + own.namespace + ":podsignal-" + of }
	for _, of := range []string{"status", "sync", "send"} {
		own.run(t, nil, "create", "serviceaccount", "podsignal-"+of)
		own.run(t, nil, "create", "rolebinding", "podsignal-"+of, "--clusterrole=podsignal-"+of, "--serviceaccount="+own.namespace+":podsignal-"+of)
	}
	m := read(t, "nginx", name)
	m.toSecret()
	m.workload()["spec"].(object)["replicas"] = 2
	a := start(t, &own, m)
	workload := "deployment/" + name
	as := func(of string, args ...string) []string { return append(args, workload, "--as="+account(of)) }
	a.wantPodsignal(0, []string{"sync", workload}, `^2 of 2 pods live$`)

	// Without the right to read Secrets the pods are compared with each other.
	a.edit("hello", "goodbye")
	out := a.wantPodsignal(0, as("sync", "sync"), `^2 of 2 pods live$`)
	for _, p := range a.pods() {
		if answer, err := a.get(p, "/"); err != nil || strings.TrimSpace(answer) != "goodbye from nginx" {
			t.Errorf("%s answers %q (%v) after:\n%s", p.Name, answer, err, out)
		}
	}
	a.run(t, nil, "create", "rolebinding", "podsignal-secrets", "--clusterrole=podsignal-secrets", "--serviceaccount="+own.namespace+":podsignal-sync")
	a.edit("goodbye", "welcome")
	a.wantPodsignal(0, as("sync", "sync"), `^2 of 2 pods live$`)
	a.wantPodsignal(0, as("status", "status"), `^2 of 2 pods live$`)
	a.wantPodsignal(0, as("send", "send"), ` HUP sent, replaced$`)

	// What is not theirs is refused, and the error says why.
	a.wantPodsignal(1, as("status", "sync"), `^error: watching pods: .* cannot watch resource "pods" .*: examples/fleet has the roles that give this right$`)
	a.wantPodsignal(1, as("status", "send"), `podsignal-status may not run /podsignal send: only podsignal status`)
	pod := a.pods()[0].Name
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"exec", pod, "--container=nginx", "--", "sh", "-c", "id"}, "may not run commands in the container nginx"},
		{[]string{"annotate", "pod", pod, "podsignal/approved=x"}, "may not change the annotation podsignal/approved of a pod"},
		{[]string{"label", "pod", pod, "a=b"}, "may not change labels of a pod"},
		{[]string{"set", "image", "pod/" + pod, "nginx=other"}, "may not change spec of a pod"},
	} {
		if out, err := a.try(nil, append([]string{"--as=" + account("sync")}, test.args...)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q is not refused by %q: %s (%v)", test.args, test.want, out, err)
		}
	}

	// The Job does the same from within the cluster.
	a.edit("welcome", "farewell")
	job := decode(t, "../fleet/job.yaml").kind("Job")
	job["metadata"].(object)["namespace"] = own.namespace
	container := manifest{job}.containers()[0]
	container["image"], _ = imageOf(t, container["image"].(string))
	container["args"] = []string{"sync", workload}
	if policy := os.Getenv("E2E_PULL_POLICY"); policy != "" {
		container["imagePullPolicy"] = policy
	}
	a.run(t, manifest{job}.list(t), "apply", "-f", "-")
	a.run(t, nil, "wait", "--for=condition=Complete", "job/podsignal-sync", "--timeout="+deadline.String())
	if log := a.run(t, nil, "logs", "job/podsignal-sync"); !strings.Contains(log, "2 of 2 pods live\n") {
		t.Errorf("the Job says:\n%s", log)
	}
	for _, p := range a.pods() {
		a.waitServed(p, "farewell from nginx")
	}
}
