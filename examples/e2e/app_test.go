//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deadline is for images that are slow to start, and for a kubelet with its default of
// a minute, and half of that by chance, between two looks at the volumes.
const deadline = 3 * time.Minute

// An app is what a case runs in the cluster.
type app struct {
	*testing.T
	*cluster
	name    string // of the workload, and the label of all its objects
	configs []*config
}

// A config is a ConfigMap or a Secret.
type config struct {
	kind, name, field string
	data              map[string]string
}

type pod struct {
	Name, UID  string
	Containers map[string]container // by name, podsignal among them
}

// A container is one run of it: both change when it is restarted.
type container struct {
	ID       string
	Restarts int
}

// start applies a manifest, waits until it runs, and deletes it at the test's end.
func start(t *testing.T, c *cluster, m manifest) *app {
	t.Helper()
	a := apply(t, c, m)
	a.waitRollout()
	return a
}

func (a *app) waitRollout() {
	a.Helper()
	a.run(a.T, nil, "rollout", "status", "deployment/"+a.name, "--timeout="+deadline.String())
}

// apply is start without the wait.
func apply(t *testing.T, c *cluster, m manifest) *app {
	t.Helper()
	m.setImages(t)
	list := m.list(t)
	if there := c.run(t, list, "get", "-f", "-", "--ignore-not-found", "-o", "name"); there != "" {
		t.Fatalf("these are in the namespace %s already: give another, or delete them:\n%s", c.namespace, there)
	}
	a := newApp(t, c, m, func() {
		c.clean(t, list, "delete", "-f", "-", "--ignore-not-found", "--cascade=foreground", "--timeout=2m")
	})
	c.run(t, list, "apply", "-f", "-")
	return a
}

// newApp is for what is about to be applied; remove takes it away at the test's end.
func newApp(t *testing.T, c *cluster, m manifest, remove func()) *app {
	a := &app{T: t, cluster: c, name: m.workload()["metadata"].(object)["name"].(string)}
	fields := map[any]string{"ConfigMap": "data", "Secret": "stringData"}
	for _, o := range m {
		field, ok := fields[o["kind"]]
		if !ok {
			continue
		}
		config := &config{
			kind: strings.ToLower(o["kind"].(string)) + "s", name: o["metadata"].(object)["name"].(string),
			field: field, data: make(map[string]string),
		}
		for key, value := range o[field].(object) {
			config.data[key] = value.(string)
		}
		a.configs = append(a.configs, config)
	}
	t.Cleanup(remove)
	t.Cleanup(func() {
		if t.Failed() {
			a.report()
		}
	})
	return a
}

// edit replaces a word in every configuration that has it, through the API.
func (a *app) edit(word, by string) {
	a.Helper()
	edited := 0
	for _, config := range a.configs {
		before := maps.Clone(config.data)
		for key, value := range config.data {
			config.data[key] = strings.ReplaceAll(value, word, by)
		}
		if maps.Equal(before, config.data) {
			continue
		}
		edited++
		path := "/api/v1/namespaces/%s/" + config.kind + "/" + config.name
		if _, err := a.ask("PATCH", path, object{config.field: config.data}); err != nil {
			a.Fatal(err)
		}
	}
	if edited == 0 {
		a.Fatalf("no %q in the configuration", word)
	}
}

// pods returns those that are not being deleted, by name.
func (a *app) pods() []pod {
	a.Helper()
	pods, err := a.list()
	if err != nil || len(pods) == 0 {
		a.Fatalf("no pod is left (%v)", err)
	}
	return pods
}

func (a *app) list() ([]pod, error) {
	type status struct {
		Name, ContainerID string
		RestartCount      int
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name, UID, DeletionTimestamp string }
			Status   struct{ InitContainerStatuses, ContainerStatuses []status }
		}
	}
	out, err := a.ask("GET", "/api/v1/namespaces/%s/pods?labelSelector=app.kubernetes.io/name="+a.name, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	var pods []pod
	for _, item := range list.Items {
		if item.Metadata.DeletionTimestamp != "" {
			continue
		}
		p := pod{Name: item.Metadata.Name, UID: item.Metadata.UID, Containers: make(map[string]container)}
		for _, s := range slices.Concat(item.Status.InitContainerStatuses, item.Status.ContainerStatuses) {
			p.Containers[s.Name] = container{ID: s.ContainerID, Restarts: s.RestartCount}
		}
		pods = append(pods, p)
	}
	slices.SortFunc(pods, func(a, b pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, nil
}

// waitPod waits for the first pod, which need not be ready.
func (a *app) waitPod() (p pod) {
	a.Helper()
	a.wait("a pod", func() (bool, string) {
		pods, err := a.list()
		if len(pods) > 0 {
			p = pods[0]
		}
		return len(pods) > 0, fmt.Sprint(err)
	})
	return p
}

func (a *app) selector() string { return "--selector=app.kubernetes.io/name=" + a.name }

// wantPods says that nothing was replaced, and nothing restarted.
func (a *app) wantPods(want ...pod) {
	a.Helper()
	if diff := cmp.Diff(want, a.pods()); diff != "" {
		a.Errorf("pods or containers were restarted (-before +after):\n%s", diff)
	}
}

// wantRestarted says that nothing was replaced, and only that container restarted, once.
func (a *app) wantRestarted(name string, want ...pod) {
	a.Helper()
	after := a.pods()
	for i := range min(len(want), len(after)) {
		was, is := want[i].Containers[name], after[i].Containers[name]
		if was.ID == is.ID {
			a.Errorf("%s: container %s is still %s", want[i].Name, name, is.ID)
		}
		want[i].Containers[name] = container{ID: is.ID, Restarts: was.Restarts + 1}
	}
	if diff := cmp.Diff(want, after); diff != "" {
		a.Errorf("but for one restart of %s, the pods have changed (-before +after):\n%s", name, diff)
	}
}

// waitRestarted waits until a container has been restarted.
func (a *app) waitRestarted(p pod, name string) {
	a.Helper()
	a.wait(fmt.Sprintf("a restart of %s in %s", name, p.Name), func() (bool, string) {
		pods, err := a.list()
		i := slices.IndexFunc(pods, func(now pod) bool { return now.Name == p.Name })
		return i >= 0 && pods[i].Containers[name].Restarts > 0, fmt.Sprintf("%+v (%v)", pods, err)
	})
}

// get asks a pod for a page: of its first port, if path begins with none.
func (a *app) get(p pod, path string) (string, error) {
	port, path, _ := strings.Cut(path, "/")
	if port != "" {
		port = ":" + port
	}
	return a.ask("GET", "/api/v1/namespaces/%s/pods/"+p.Name+port+"/proxy/"+path, nil)
}

// waitServed waits until the pod answers with want.
func (a *app) waitServed(p pod, want string) {
	a.Helper()
	a.waitPage(p, "/", want)
}

func (a *app) waitPage(p pod, path, want string) {
	a.Helper()
	a.wait(fmt.Sprintf("the answer %q of %s", want, p.Name), func() (bool, string) {
		answer, err := a.get(p, path)
		return err == nil && strings.TrimSpace(answer) == want, fmt.Sprintf("%q (%v)", answer, err)
	})
}

// log returns that of a container's present run.
func (a *app) log(p pod, container string) (string, error) {
	return a.ask("GET", "/api/v1/namespaces/%s/pods/"+p.Name+"/log?container="+container, nil)
}

// waitLog waits for a match in a container's log, of its present run, and returns its groups.
func (a *app) waitLog(p pod, container, pattern string) (groups []string) {
	a.Helper()
	a.wait(fmt.Sprintf("%q in the log of %s, %s", pattern, p.Name, container), func() (bool, string) {
		log, err := a.log(p, container)
		groups = regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(log)
		return groups != nil, fmt.Sprintf("%s (%v)", log, err)
	})
	return groups
}

// waitFile waits until the kubelet has brought a word into a file.
func (a *app) waitFile(p pod, container, path, word string) {
	a.Helper()
	a.wait(fmt.Sprintf("%q in %s", word, path), func() (bool, string) {
		content, err := a.try(nil, "exec", p.Name, "--container", container, "--", "cat", path)
		return strings.Contains(content, word), fmt.Sprintf("%s (%v)", content, err)
	})
}

// killFirst is a script that sends a signal to the first process of a container, by its
// name: the one that has no parent, where containers share their processes.
const killFirst = `for p in /proc/[0-9]*; do
	if [ "$(cat $p/comm)" = "$2" ] && grep -q '^PPid:	0$' $p/status; then kill -$1 ${p#/proc/} && found=1; fi
done 2>/dev/null
[ "$found" ]`

// kill sends a signal to a container's first process, from within nginx's. When that
// is the same one, it may end before it has said that it succeeded.
func (a *app) kill(p pod, signal, process string) {
	a.Helper()
	if out, err := a.try(nil, "exec", p.Name, "--container", "nginx", "--", "sh", "-c", killFirst, "kill", signal, process); err != nil {
		a.Logf("%s (%v)", out, err)
	}
}

// waitOutcomes waits until podsignal's log tells of as many outcomes, which must match
// the wanted ones, and of one signal for each. A signal too many would come before the
// outcome of the one before, which takes VERIFY, 5 s.
func (a *app) waitOutcomes(p pod, want ...string) {
	a.Helper()
	var log string
	var signals int
	var outcomes []string
	a.wait(fmt.Sprintf("outcome %d of podsignal in %s", len(want), p.Name), func() (bool, string) {
		var err error
		log, err = a.log(p, "podsignal")
		signals, outcomes = told(log)
		return len(outcomes) >= max(signals, len(want)), fmt.Sprintf("%v (%v)", outcomes, err)
	})
	wanted := regexp.MustCompile("^" + strings.Join(want, " ") + "$")
	if signals != len(want) || !wanted.MatchString(strings.Join(outcomes, " ")) {
		a.Fatalf("%s: %d signals with the outcomes %v, want one for each of %v:\n%s", p.Name, signals, outcomes, want, log)
	}
}

// told returns how many signals a log of podsignal tells of, and their outcomes.
func told(log string) (signals int, outcomes []string) {
	outcome := regexp.MustCompile(` outcome=(\w+)`)
	for line := range strings.Lines(log) {
		if match := outcome.FindStringSubmatch(line); match != nil {
			outcomes = append(outcomes, match[1])
		} else if strings.Contains(line, " msg=signalled ") {
			signals++
		}
	}
	return signals, outcomes
}

func (a *app) wait(what string, look func() (done bool, last string)) {
	a.Helper()
	for began := time.Now(); ; {
		done, last := look()
		switch {
		case done:
			return
		case a.ctx.Err() != nil:
			a.Fatalf("interrupted while waiting for %s", what)
		case time.Since(began) > deadline:
			a.Fatalf("%s did not come within %v, last seen: %s", what, deadline, last)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// report prints what tells why the test has failed.
func (a *app) report() {
	a.Log("pods:\n" + a.clean(a.T, nil, "get", "pods", a.selector(), "-o", "wide"))

	var events strings.Builder
	for line := range strings.Lines(a.clean(a.T, nil, "get", "events", "--sort-by=.metadata.creationTimestamp")) {
		if strings.Contains(line, "/"+a.name) {
			events.WriteString(line)
		}
	}
	a.Log("events:\n" + events.String())

	// A container that does not run, or never ran before, is no error.
	logs := []string{"logs", a.selector(), "--all-containers", "--prefix", "--tail=300", "--ignore-errors"}
	a.Log("logs:\n" + a.clean(a.T, nil, logs...))
	a.Log("logs before a restart:\n" + a.clean(a.T, nil, append(logs, "--previous")...))
}
