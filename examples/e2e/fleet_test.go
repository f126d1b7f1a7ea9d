//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// buildPlugin builds it into a folder of $PATH, until the end of the test, so that kubectl finds it.
func buildPlugin(t *testing.T) error {
	dir := t.TempDir()
	if out, err := exec.Command("go", "-C", "../../cmd/kubectl-podsignal", "build", "-o", filepath.Join(dir, "kubectl-podsignal"), ".").CombinedOutput(); err != nil {
		return fmt.Errorf("building the plugin: %w\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return nil
}

// podsignal runs kubectl podsignal in the namespace, and returns what it printed, and its exit status.
func (c *cluster) podsignal(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	if err := c.plugin(); err != nil {
		t.Fatal(err)
	}
	out, err := kubectl(c.ctx, nil, append([]string{"podsignal", "--namespace", c.namespace}, args...)...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return err.Error(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out, 0
}

// wantPodsignal runs it, and checks its exit status, and that what it printed matches.
func (a *app) wantPodsignal(status int, args []string, patterns ...string) string {
	a.Helper()
	out, got := a.podsignal(a.T, args...)
	if got != status {
		a.Fatalf("kubectl podsignal %s exits with %d, want %d:\n%s", strings.Join(args, " "), got, status, out)
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(out) {
			a.Errorf("kubectl podsignal %s: no %q in:\n%s", strings.Join(args, " "), pattern, out)
		}
	}
	return out
}

// testSync has a change, a broken one and a good one brought to three pods.
func testSync(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.workload()["spec"].(object)["replicas"] = 3
	a := start(t, c, m)
	before := a.pods()
	sync := []string{"sync", "deployment/" + name}
	a.wantPodsignal(0, sync, `^3 of 3 pods live$`)

	a.edit("hello", "goodbye")
	a.wantPodsignal(0, sync, `^`+name+`-\S+: live after \d+\.\d s$`, `^3 of 3 pods live$`)
	for _, p := range before {
		if answer, err := a.get(p, "/"); err != nil || strings.TrimSpace(answer) != "goodbye from nginx" {
			t.Errorf("%s is live, and answers %q (%v)", p.Name, answer, err)
		}
		a.waitOutcomes(p, "replaced")
	}
	a.edit("server {", "sever {")
	a.wantPodsignal(1, sync, `^`+name+`-\S+: refused after .*: fix the files; see its log$`, `^0 of 3 pods live, 3 refused$`)
	a.wantPodsignal(1, []string{"status", "deployment/" + name}, `^POD +NODE +PROCESS +ON DISK +RUNNING +WANTED +OUTCOME +AGE +VERDICT$`, ` refused +\S+ +refused$`)
	a.edit("sever {", "server {")
	a.wantPodsignal(0, sync, `^3 of 3 pods live$`)
	a.wantPodsignal(0, []string{"send", "deployment/" + name}, `^`+name+`-\S+: ok: nginx \(pid \d+\): HUP sent, replaced$`)
	a.wantPods(before...)
}

// testFleet has pods of all kinds: of two ReplicaSets, one whose program is down, one without
// podsignal, a completed Job, and one that is deleted while it is waited for.
func testFleet(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.workload()["spec"].(object)["replicas"] = 2
	a := start(t, c, m)
	bare := func(suffix string, change func(spec object, program object)) object {
		other := read(t, "nginx", name)
		other.setImages(t)
		spec := other.pod()
		change(spec, other.container("nginx"))
		metadata := object{"name": name + "-" + suffix, "labels": object{"app.kubernetes.io/name": name, "bare": suffix}}
		return object{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
	}
	sleep := []string{"/bin/sh", "-c", "sleep 3600"}
	done := bare("done", func(spec, program object) {
		spec["restartPolicy"], program["command"] = "Never", []string{"/bin/sh", "-c", "exit 0"}
	})
	metadata := done["metadata"].(object)
	others := manifest{
		bare("down", func(_, program object) { program["command"] = sleep; delete(program, "readinessProbe") }),
		bare("plain", func(spec, program object) { delete(spec, "initContainers"); program["command"] = sleep }),
		{"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": object{
			"template": object{"metadata": object{"labels": metadata["labels"]}, "spec": done["spec"]},
		}},
	}
	list := others.list(t)
	t.Cleanup(func() { c.clean(t, list, "delete", "-f", "-", "--ignore-not-found", "--timeout=2m") })
	a.run(t, list, "apply", "-f", "-")

	// A template that cannot start leaves the pods of both ReplicaSets.
	a.run(t, nil, "patch", "deployment", name, "--patch", `{"spec":{"template":{"spec":{"containers":[{"name":"nginx","command":["/nonexistent"]}]}}}}`)
	selector := "-l=app.kubernetes.io/name=" + name
	a.wait("pods of two ReplicaSets, and one that has ended", func() (bool, string) {
		out := a.run(t, nil, "get", "pods", selector, "-o", `jsonpath={range .items[*]}{.metadata.labels.pod-template-hash}:{.status.phase}:{.status.initContainerStatuses[0].state.running.startedAt} {end}`)
		hashes := make(map[string]bool)
		running := 0
		for pod := range strings.FieldsSeq(out) {
			fields := strings.SplitN(pod, ":", 3)
			if fields[0] != "" {
				hashes[fields[0]] = true
			}
			if fields[2] != "" {
				running++
			}
		}
		return len(hashes) == 2 && running == 4 && strings.Contains(out, ":Succeeded:"), out
	})
	out := a.wantPodsignal(1, []string{"status", selector},
		`^`+name+`-done-\S+ .* completed$`,
		`^`+name+`-plain .* without podsignal$`,
		`^`+name+`-down .* pending$`,
		`^`+name+`-down: pending: .*no process is named`,
		`; not counted: 1 completed, 1 without podsignal$`)
	if live := len(regexp.MustCompile(`(?m)^`+name+`-[0-9a-f]\S+-\S+ .* live$`).FindAllString(out, -1)); live != 2 {
		t.Errorf("%d pods of the Deployment are live, want the 2 of the old ReplicaSet:\n%s", live, out)
	}

	// The pods that are down are deleted while sync waits for them.
	a.edit("hello", "goodbye")
	path := filepath.Join(t.TempDir(), "sync")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", "podsignal", "--namespace", c.namespace, "sync", selector)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := func() string {
		out, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	// Not the annotations: a pod that has got the change by itself is not annotated.
	a.wait("sync to have found a pod live", func() (bool, string) {
		out := printed()
		return strings.Contains(out, ": live after "), out
	})
	a.run(t, nil, "delete", "pod", name+"-down", "--grace-period=1")
	a.run(t, nil, "rollout", "undo", "deployment/"+name)
	if err := cmd.Wait(); err != nil || !strings.Contains(printed(), name+"-down: deleted") {
		t.Errorf("sync: %v\n%s", err, printed())
	}
}

// startHeld starts nginx with podsignal by its annotations, and HOLD among them.
func startHeld(t *testing.T, c *cluster, name string, replicas int) *app {
	t.Helper()
	m := read(t, "nginx", name)
	image, _ := imageOf(t, m.container("podsignal")["image"].(string))
	m.workload()["spec"].(object)["replicas"] = replicas
	delete(m.pod(), "initContainers")
	delete(m.pod(), "shareProcessNamespace")
	m.workload()["spec"].(object)["template"].(object)["metadata"].(object)["annotations"] = object{"podsignal/hold": "true"}
	a := apply(t, c, m)
	a.waitRollout()
	a.run(t, injector(t, c)(a.manifest("deployment"), "--image", image), "apply", "-f", "-")
	a.waitRollout()
	a.wait("the end of the pods of the old template", func() (bool, string) {
		out := a.run(t, nil, "get", "pods", a.selector(), "-o", "name")
		return len(strings.Fields(out)) == replicas, out
	})
	return a
}

// testHold is a rollout with HOLD, and what happens meanwhile.
func testHold(t *testing.T, c *cluster, name string) {
	a := startHeld(t, c, name, 2)
	before := a.pods()
	workload := "deployment/" + name
	a.wantPodsignal(0, []string{"sync", workload}, `^2 of 2 pods live$`)

	// A change is held, also by a podsignal that is started again.
	a.edit("hello", "goodbye")
	a.wantPodsignal(1, []string{"sync", workload}, `: held after `, `^0 of 2 pods live, 2 held$`)
	a.kill(before[1], "KILL", "podsignal")
	a.waitRestarted(before[1], "podsignal")
	a.waitLog(before[1], "podsignal", `msg="process found"`)
	a.wantPodsignal(1, []string{"status", workload}, `^0 of 2 pods live, 2 held$`)
	// A program that is started again has what is on disk, approved or not.
	a.kill(before[0], "QUIT", "nginx")
	a.waitRestarted(before[0], "nginx")
	a.waitServed(before[0], "goodbye from nginx")
	if answer, err := a.get(before[1], "/"); err != nil || strings.TrimSpace(answer) != "hello from nginx" {
		t.Errorf("%s holds the change, and answers %q (%v)", before[1].Name, answer, err)
	}
	a.wait("the end of what was held in "+before[0].Name, func() (bool, string) {
		out, _ := a.podsignal(t, "status", workload)
		return strings.Contains(out, "1 of 2 pods live, 1 held"), out
	})
	a.wantPodsignal(0, []string{"rollout", workload}, `^2 of 2 pods live$`)
	a.waitServed(before[1], "goodbye from nginx")

	// A broken one is refused by the first, and the other keeps what it has.
	a.edit("server {", "sever {")
	a.wantPodsignal(1, []string{"rollout", workload}, `^`+before[0].Name+`: refused after `, `^0 of 2 pods live, .*1 refused`)
	a.wantPodsignal(1, []string{"sync", workload}, `^0 of 2 pods live, 1 held, 1 refused$`)
	for _, p := range before {
		a.waitServed(p, "goodbye from nginx")
	}
	if got := a.approved(before[1]); strings.Contains(got, a.approved(before[0])) {
		t.Errorf("%s is approved in %s too", got, before[1].Name)
	}

	// What is approved before the kubelet brings it is not held.
	const fixed = "server { # fixed"
	next := strings.ReplaceAll(a.configs[0].data["site.conf"], "sever {", fixed)
	digest, _, _ := strings.Cut(a.digest(object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "any"}, "data": object{"site.conf": next}}), " ")
	a.run(t, nil, "annotate", "pods", a.selector(), "--overwrite", "podsignal/approved="+digest)
	a.edit("sever {", fixed)
	a.wantPodsignal(0, []string{"sync", workload}, `^2 of 2 pods live$`)
	a.wantPodsignal(0, []string{"status", workload}, `^`+before[1].Name+` .* `+digest[:12]+` +`+digest[:12]+` +`+digest[:12]+` +\S+ +\S+ +live$`)
}

func (a *app) approved(p pod) string {
	return a.run(a.T, nil, "get", "pod", p.Name, "-o", `jsonpath={.metadata.annotations.podsignal/approved}`)
}
