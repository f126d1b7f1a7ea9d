//go:build e2e

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testInject adds podsignal to a StatefulSet that runs, twice.
func testInject(t *testing.T, c *cluster, name string) {
	inject := injector(t, c)
	m := read(t, "nginx", name)
	image, _ := imageOf(t, m.container("podsignal")["image"].(string))
	m.workload()["kind"] = "StatefulSet"
	m.workload()["spec"].(object)["serviceName"] = name
	delete(m.pod(), "initContainers")
	delete(m.pod(), "shareProcessNamespace")

	a := apply(t, c, m)
	rollout := func() {
		a.run(t, nil, "rollout", "status", "statefulset/"+name, "--timeout="+deadline.String())
	}
	rollout()
	without := a.pods()[0]

	add := func() (revision string) {
		manifest := inject(a.manifest("statefulset"), "--volume", "conf", "--image", image)
		t.Log(a.run(t, manifest, "apply", "-f", "-"))
		rollout()
		return a.run(t, nil, "get", "statefulset", name, "-o", "jsonpath={.status.updateRevision} {.metadata.generation}")
	}
	first := add()
	with := a.pods()[0]
	if _, ok := with.Containers["podsignal"]; !ok || with.UID == without.UID {
		t.Fatalf("podsignal was not added: %+v", with)
	}
	if second := add(); second != first {
		t.Errorf("applied again, revision and generation are %s, want %s", second, first)
	}
	a.waitServed(with, "hello from nginx")
	a.waitLog(with, "podsignal", `msg="starting podsignal" .* file=/etc/nginx/conf.d found=1 process=nginx `) // without FILE
	a.edit("hello", "goodbye")
	a.waitServed(with, "goodbye from nginx")
	a.waitOutcomes(with, "replaced")
	a.wantPods(with)
}

// manifest returns the workload as the API has it, but for its resourceVersion: a controller
// writes its status for some time after a rollout, and the API would refuse what was read before.
func (a *app) manifest(kind string) string {
	a.Helper()
	yaml := a.run(a.T, nil, "get", kind, a.name, "-o", "yaml")
	without := regexp.MustCompile(`(?m)^  resourceVersion: .*\n`).ReplaceAllString(yaml, "")
	if without == yaml {
		a.Fatalf("no resourceVersion in:\n%s", yaml)
	}
	return without
}

// injector builds podsignal, and returns its command inject, for nginx.
func injector(t *testing.T, c *cluster) func(manifest string, flags ...string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "podsignal")
	if out, err := exec.CommandContext(c.ctx, "go", "build", "-o", program, "../../cmd/podsignal").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(manifest string, flags ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(c.ctx, program, append([]string{"inject", "--process", "nginx"}, flags...)...)
		cmd.Stdin = strings.NewReader(manifest)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		return stdout.Bytes()
	}
}

// testInjectValidate has podsignal validate in nginx's image, in a namespace of the level
// baseline: a configuration that is broken is not sent, and the next one is. Then it is to
// validate no more.
func testInjectValidate(t *testing.T, c *cluster, name string) {
	inject := injector(t, c)
	m := read(t, "nginx", name)
	image, _ := imageOf(t, m.container("podsignal")["image"].(string))
	delete(m.pod(), "initContainers")
	delete(m.pod(), "shareProcessNamespace")
	a := start(t, c, m)
	again := func(flags ...string) (revision string) {
		t.Helper()
		manifest := inject(a.manifest("deployment"), append(flags, "--volume", "conf")...)
		a.run(t, manifest, "apply", "-f", "-")
		a.waitRollout()
		// The generation of a Deployment grows with its annotations, too.
		return a.run(t, nil, "get", "deployment", name, "-o", `jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}`)
	}
	first := again("--image", image, "--validate", "nginx -t -q")
	if second := again("--validate", "nginx -t -q"); second != first {
		t.Errorf("applied again, the revision is %s, want %s", second, first)
	}
	before := a.waitPod()
	a.waitServed(before, "hello from nginx")
	a.waitLog(before, "podsignal", `msg="process found"`)

	a.edit("return", "retrun")
	a.waitLog(before, "podsignal", `level=WARN msg="configuration invalid, not sent: fix it" .* outcome=invalid .*unknown directive`)
	a.waitServed(before, "hello from nginx")
	// Its exit code is 1, and what kubectl then says has what it printed.
	if _, err := a.try(nil, "exec", before.Name, "-c", "podsignal", "--", "/podsignal-bin/podsignal", "status"); err == nil || !strings.Contains(err.Error(), " is invalid since ") {
		t.Errorf("podsignal status: %v", err)
	}
	a.edit("hello", "goodbye")
	a.edit("retrun", "return")
	a.waitServed(before, "goodbye from nginx")
	a.waitLog(before, "podsignal", ` outcome=replaced`)
	log, err := a.log(before, "podsignal")
	if err != nil {
		t.Fatal(err)
	}
	if signals, _ := told(log); signals != 1 {
		t.Errorf("%d signals, want that for the last change alone:\n%s", signals, log)
	}
	a.wantPods(before)

	again()
	after := a.waitPod()
	containers := a.run(t, nil, "get", "pod", after.Name, "-o", "jsonpath={.spec.initContainers[*].name} {.spec.initContainers[*].image} {.spec.initContainers[*].command}")
	if containers != "podsignal "+image+" " {
		t.Errorf("init containers, images and commands are %q, want podsignal's alone", containers)
	}
	a.waitLog(after, "podsignal", `msg="process found"`)
}

// testKustomize applies the overlay, and changes the file that its ConfigMap is made of.
func testKustomize(t *testing.T, c *cluster, _ string) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../kustomize")); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay")
	setKustomizeImages(t, filepath.Join(overlay, "kustomization.yaml"))
	if there := c.run(t, nil, "get", "-k", overlay, "--ignore-not-found", "-o", "name"); there != "" {
		t.Fatalf("these are in the namespace %s already: give another, or delete them:\n%s", c.namespace, there)
	}
	a := newApp(t, c, decode(t, filepath.Join(dir, "base/nginx.yaml")), func() {
		c.clean(t, nil, "delete", "-k", overlay, "--ignore-not-found", "--cascade=foreground", "--timeout=2m")
	})
	a.run(t, nil, "apply", "-k", overlay)
	a.waitRollout()
	before := a.pods()[0]
	a.waitServed(before, "hello from nginx")

	site := filepath.Join(dir, "base/site.conf")
	content, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(site, bytes.ReplaceAll(content, []byte("hello"), []byte("goodbye")), 0o644); err != nil {
		t.Fatal(err)
	}
	a.run(t, nil, "apply", "-k", overlay)
	a.waitServed(before, "goodbye from nginx")
	a.waitOutcomes(before, "replaced")
	a.wantPods(before)
}

// setKustomizeImages names the images that the environment gives, as an overlay does it.
func setKustomizeImages(t *testing.T, path string) {
	t.Helper()
	var lines strings.Builder
	for _, name := range []string{"podsignal", "nginxinc/nginx-unprivileged"} {
		image, replaced := imageOf(t, name+":")
		if colon := strings.LastIndex(image, ":"); replaced && colon > 0 {
			fmt.Fprintf(&lines, "  - {name: %s, newName: %q, newTag: %q}\n", name, image[:colon], image[colon+1:])
		}
	}
	if lines.Len() == 0 {
		return
	}
	overlay, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Appendf(overlay, "images:\n%s", &lines), 0o644); err != nil {
		t.Fatal(err)
	}
}
