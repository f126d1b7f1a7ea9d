//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
)

// testSameName has two containers with nginx, of which one mounts the volume.
func testSameName(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	other := maps.Clone(m.container("nginx"))
	other["name"], other["ports"] = "other", []any{object{"name": "other", "containerPort": 81}}
	other["readinessProbe"] = object{"httpGet": object{"path": "/", "port": "other"}}
	var mounts []any
	for _, volume := range []string{"cache", "run", "conf"} {
		path := map[string]string{"cache": "/var/cache/nginx", "run": "/run", "conf": "/etc/nginx/conf.d"}[volume]
		mounts = append(mounts, object{"name": "other-" + volume, "mountPath": path})
		m.mount(object{"name": "other-" + volume, "emptyDir": object{}}, path)
	}
	other["volumeMounts"] = mounts
	m.pod()["containers"] = append(m.pod()["containers"].([]any), other)
	m = append(m, m.configMap("-other", object{
		"site.conf": strings.Replace(fmt.Sprintf(page, "hello from the other"), "80", "81", 1),
	}))
	delete(m.volume("other-conf"), "emptyDir")
	m.volume("other-conf")["configMap"] = object{"name": name + "-other"}

	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "hello from nginx")
	a.edit("hello from nginx", "goodbye from nginx")
	a.waitServed(before, "goodbye from nginx")
	a.waitOutcomes(before, "replaced")
	a.waitLog(before, "nginx", `signal 1 \(SIGHUP\) received`)
	if log, err := a.log(before, "other"); err != nil || strings.Contains(log, "SIGHUP") {
		t.Errorf("the container without the volume was signalled too (%v):\n%s", err, log)
	}
	a.waitPage(before, "81/", "hello from the other")
	a.wantPods(before)
}

// testWrongUID runs podsignal as another uid than nginx's master, and then does what its
// log says.
func testWrongUID(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	setUID := func(uid int, nonRoot bool) {
		security := m.container("podsignal")["securityContext"].(object)
		security["runAsUser"], security["runAsNonRoot"] = uid, nonRoot
	}
	setUID(65532, true)
	m.listen()
	a := start(t, c, m)
	p := a.pods()[0]
	a.waitServed(p, "hello from nginx")
	a.edit("hello", "goodbye")
	fix := a.waitLog(p, "podsignal", `msg="reload failed, retrying" .*podsignal runs as uid 65532, nginx \(pid \d+\) as uid 0: `+
		`set securityContext.runAsUser: (\d+) and runAsNonRoot: (\w+) on this container`)
	// The pod gets no traffic while its configuration cannot be delivered.
	a.waitReady(p, false)
	a.waitServed(p, "hello from nginx")
	a.wantPods(p)

	uid, err := strconv.Atoi(fix[1])
	if err != nil {
		t.Fatal(err)
	}
	setUID(uid, fix[2] == "true")
	workload, err := json.Marshal(m.workload())
	if err != nil {
		t.Fatal(err)
	}
	a.run(t, workload, "apply", "-f", "-")
	a.waitRollout()
	p = a.pods()[0]
	a.waitServed(p, "goodbye from nginx")
	a.edit("goodbye", "welcome")
	a.waitServed(p, "welcome from nginx")
	a.waitOutcomes(p, "replaced")
	a.waitReady(p, true)
}

// listen has podsignal serve its pages, with the probes that cmd/podsignal/OPERATIONS.md has.
// They are asked more often, so that the case does not take long.
func (m manifest) listen() {
	m.set(object{"LISTEN": ":9533"})
	c := m.container("podsignal")
	c["ports"] = []any{object{"name": "podsignal", "containerPort": 9533}}
	probe := func(path string) object {
		return object{"httpGet": object{"path": path, "port": "podsignal"}, "timeoutSeconds": 5, "periodSeconds": 2}
	}
	c["livenessProbe"], c["readinessProbe"] = probe("/healthz"), probe("/readyz")
	c["livenessProbe"].(object)["terminationGracePeriodSeconds"] = 1
}

// waitReady waits until podsignal, and with it the pod, is ready, or until both are not.
func (a *app) waitReady(p pod, want bool) {
	a.Helper()
	const path = `jsonpath={.status.initContainerStatuses[?(@.name=="podsignal")].ready} {.status.conditions[?(@.type=="Ready")].status}`
	wanted := map[bool]string{true: "true True", false: "false False"}[want]
	a.wait(fmt.Sprintf("ready: %v, of %s", want, p.Name), func() (bool, string) {
		got, err := a.try(nil, "get", "pod", p.Name, "-o", path)
		return got == wanted, fmt.Sprintf("%s (%v)", got, err)
	})
}

// testProbes stops podsignal, so that the kubelet's probe restarts it.
func testProbes(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.listen()
	a := start(t, c, m)
	before := a.pods()[0]
	a.waitReady(before, true)
	a.waitPage(before, "9533/healthz", "ok")

	a.kill(before, "STOP", "podsignal")
	a.waitRestarted(before, "podsignal")
	a.waitReady(before, true)
	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye from nginx")
	a.waitOutcomes(before, "replaced")
	a.wantRestarted("podsignal", before)
}

// testNotify has nginx itself take what podsignal posts, and log it.
func testNotify(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.setPage(object{
		"site.conf": fmt.Sprintf(page, "hello"),
		// The body is read only for what is passed on.
		"hook.conf": `log_format hook escape=none 'hook: $request_body';
server {
    listen 8000;
    location / { access_log /dev/stdout hook; proxy_pass http://127.0.0.1:80; }
}
`,
	})
	field := func(path string) object { return object{"fieldRef": object{"fieldPath": path}} }
	m.set(object{
		"NOTIFY_URL": "http://127.0.0.1:8000/hook", "POD_NAME": field("metadata.name"), "POD_NAMESPACE": field("metadata.namespace"),
	})
	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "hello")
	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye")
	a.waitOutcomes(before, "replaced")
	a.edit("return", "retrun")
	a.waitOutcomes(before, "replaced", "refused")

	posted := a.waitLog(before, "nginx", `^hook: (.*)$`)[1]
	var document struct{ Text, Outcome, Process, Pod, Namespace, File string }
	if err := json.Unmarshal([]byte(posted), &document); err != nil {
		t.Fatalf("%v: %s", err, posted)
	}
	text := document.Text
	document.Text = ""
	want := document
	want.Outcome, want.Process, want.File = "refused", "nginx", "/etc/nginx/conf.d"
	want.Pod, want.Namespace = before.Name, c.namespace
	if document != want || !strings.HasPrefix(text, "podsignal: "+c.namespace+"/"+before.Name+": nginx rejected /etc/nginx/conf.d ") {
		t.Errorf("%q and %+v were posted, want %+v", text, document, want)
	}
	if strings.Contains(posted, "retrun") {
		t.Errorf("what a file holds was posted: %s", posted)
	}
	a.wantPods(before)
}

// testJob has a program that ends with success when it is notified of a change.
func testJob(t *testing.T, c *cluster, name string) {
	m := read(t, "restart-in-place", name)
	job := m.workload()
	job["apiVersion"], job["kind"] = "batch/v1", "Job"
	job["spec"] = object{"template": job["spec"].(object)["template"], "backoffLimit": 0}
	m.pod()["restartPolicy"] = "Never"
	m.set(object{"SIGNAL": "HUP", "SPLAY": nil})
	m.container("app")["command"] = []string{"/bin/sh", "-c", `trap 'echo told; exit 0' HUP; echo waits; while :; do sleep 5 & wait $!; done`}

	a := apply(t, c, m)
	p := a.waitPod()
	a.waitLog(p, "app", "^waits$")
	a.waitLog(p, "podsignal", `msg="process found"`)
	a.edit("hello", "goodbye")
	a.run(t, nil, "wait", "--for=condition=Complete", "job/"+name, "--timeout="+deadline.String())
	a.waitLog(p, "app", "^told$")
	// A sidecar is ended when the containers have ended.
	got := a.run(t, nil, "get", "pod", p.Name, "-o", "jsonpath={.status.phase} {.status.initContainerStatuses[*].state.terminated.exitCode}")
	if after := a.pods()[0]; got != "Succeeded 0" || after.UID != p.UID {
		t.Errorf("phase and exit code of podsignal are %q, want Succeeded and 0: %+v", got, after)
	}
}
