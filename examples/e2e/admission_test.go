//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// testAdmission has the policies of examples/admission add podsignal, in namespaces of its own: other
// cases are not to notice them.
func testAdmission(t *testing.T, c *cluster, name string) {
	const group = "/apis/admissionregistration.k8s.io/v1"
	if kinds := c.kubectl(t, nil, "get", "--raw", group); kinds != "" && !strings.Contains(kinds, `"mutatingadmissionpolicies"`) {
		t.Skip("MutatingAdmissionPolicy is not there: it needs Kubernetes 1.36")
	}
	own, restricted := *c, *c
	own.namespace += "-admission"
	own.create(t, "baseline")
	restricted.namespace += "-admission-restricted"
	restricted.create(t, "restricted")
	parameter := installPolicies(t, c, own.namespace, restricted.namespace)

	pod := bare(t, annotated(t, "nginx", name, "nginx"))
	own.waitPolicies(t, pod)

	wantReloaded(start(t, &own, annotated(t, "nginx", name, "nginx")))

	m := annotated(t, "nginx", name+"-set", "nginx")
	m.workload()["kind"] = "StatefulSet"
	m.workload()["spec"].(object)["serviceName"] = name + "-set"
	set := apply(t, &own, m)
	set.run(t, nil, "rollout", "status", "statefulset/"+set.name, "--timeout="+deadline.String())
	wantReloaded(set)

	wantReloaded(start(t, &restricted, annotated(t, "nginx-unprivileged", name, "nginx")))

	m = annotated(t, "restart-in-place", name+"-job", "sh")
	job := m.workload()
	job["apiVersion"], job["kind"] = "batch/v1", "Job"
	job["spec"] = object{"template": job["spec"].(object)["template"], "backoffLimit": 0}
	m.pod()["restartPolicy"] = "Never"
	m.container("app")["command"] = []string{"/bin/sh", "-c", `trap 'echo told; exit 0' HUP; echo waits; while :; do sleep 5 & wait $!; done`}
	told := apply(t, &own, m)
	p := told.waitPod()
	told.waitLog(p, "app", "^waits$")
	told.waitLog(p, "podsignal", `msg="process found"`)
	told.edit("hello", "goodbye")
	told.run(t, nil, "wait", "--for=condition=Complete", "job/"+told.name, "--timeout="+deadline.String())
	told.waitLog(p, "app", "^told$")

	// Without the parameter pods start as they are, and who creates one is warned.
	own.kubectl(t, nil, "delete", "configmap", "podsignal", "--namespace", parameter)
	without := start(t, &own, annotated(t, "nginx", name+"-without", "nginx"))
	p = without.pods()[0]
	without.waitServed(p, "hello from nginx")
	if _, ok := p.Containers["podsignal"]; ok {
		t.Errorf("podsignal was added without the parameter: %+v", p)
	}
	said, err := own.warnings(pod)
	if err != nil || !strings.Contains(said, "podsignal is not added: is the ConfigMap podsignal in the namespace podsignal-system there") {
		t.Errorf("kubectl does not warn (%v):\n%s", err, said)
	}
}

// wantReloaded changes the configuration of nginx.
func wantReloaded(a *app) {
	a.Helper()
	p := a.pods()[0]
	a.waitServed(p, "hello from nginx")
	a.waitLog(p, "podsignal", `msg="starting podsignal" .* found=1 process=nginx `) // without FILE
	a.edit("hello", "goodbye")
	a.waitServed(p, "goodbye from nginx")
	a.waitOutcomes(p, "replaced")
	a.wantPods(p)
}

// annotated is an example without its podsignal, but with the annotation that asks for it.
func annotated(t *testing.T, example, name, process string) manifest {
	t.Helper()
	m := read(t, example, name)
	delete(m.pod(), "initContainers")
	delete(m.pod(), "shareProcessNamespace")
	template := m.workload()["spec"].(object)["template"].(object)
	template["metadata"].(object)["annotations"] = object{"podsignal/process": process}
	return m
}

// installPolicies installs them for some namespaces alone, and returns the one of the parameter.
// Policies that are there already are nobody's to change here: then it fails.
func installPolicies(t *testing.T, c *cluster, namespaces ...string) (parameter string) {
	t.Helper()
	m := decode(t, "../admission/policy.yaml")
	data := m.kind("ConfigMap")["data"].(object)
	data["image"], _ = imageOf(t, data["image"].(string))
	if policy := os.Getenv("E2E_PULL_POLICY"); policy != "" {
		data["imagePullPolicy"] = policy
	}
	for _, o := range m {
		if strings.HasSuffix(o["kind"].(string), "Binding") {
			o["spec"].(object)["matchResources"] = object{"namespaceSelector": object{"matchExpressions": []any{
				object{"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces},
			}}}
		}
	}
	c.kubectl(t, m.list(t), "create", "-f", "-")
	t.Cleanup(func() {
		uninstall := []string{"delete", "-f", "../admission/policy.yaml", "--ignore-not-found", "--timeout=2m"}
		if _, err := kubectl(context.Background(), nil, uninstall...); err != nil {
			t.Error(err)
		}
	})
	return m.kind("Namespace")["metadata"].(object)["name"].(string)
}

// kubectl runs it for objects of any namespace.
func (c *cluster) kubectl(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	out, err := kubectl(c.ctx, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// waitPolicies waits until they are in force, which takes the API server a moment.
func (c *cluster) waitPolicies(t *testing.T, pod []byte) {
	t.Helper()
	a := &app{T: t, cluster: c}
	a.wait("the policies", func() (bool, string) {
		out := c.run(t, pod, "apply", "--dry-run=server", "-o", "jsonpath={.spec.initContainers[*].name}{.items[*].spec.initContainers[*].name}", "-f", "-")
		return strings.Contains(out, "podsignal"), out
	})
}

// warnings are what kubectl says of a pod, as a dry run.
func (c *cluster) warnings(pod []byte) (string, error) {
	cmd := exec.CommandContext(c.ctx, "kubectl", "--namespace", c.namespace, "create", "--dry-run=server", "-f", "-")
	cmd.Stdin = bytes.NewReader(pod)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// bare is the pod of a workload, alone.
func bare(t *testing.T, m manifest) []byte {
	t.Helper()
	m.setImages(t)
	template := m.workload()["spec"].(object)["template"].(object)
	metadata := template["metadata"].(object)
	content, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": []any{object{
		"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
		"metadata": object{"name": m.workload()["metadata"].(object)["name"], "labels": metadata["labels"], "annotations": metadata["annotations"]},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return content
}
