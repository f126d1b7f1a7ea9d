//go:build e2e

package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
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

// An app is an example that runs in the cluster.
type app struct {
	*testing.T
	*cluster
	name     string // of the Deployment, and the label of all its objects
	kind     string // of the object with the configuration
	config   string // its name
	data     map[string]string
	manifest []byte
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

// start applies an example, waits until it runs, and deletes it at the test's end.
func start(t *testing.T, c *cluster, name, kind string) *app {
	t.Helper()
	a := &app{T: t, cluster: c, name: name, kind: kind}
	a.read("../" + name + "/kubernetes.yaml")
	if there := c.run(t, a.manifest, "get", "-f", "-", "--ignore-not-found", "-o", "name"); there != "" {
		t.Fatalf("these are in the namespace %s already: give another, or delete them:\n%s", c.namespace, there)
	}
	t.Cleanup(func() {
		c.clean(t, a.manifest, "delete", "-f", "-", "--ignore-not-found", "--cascade=foreground", "--timeout=2m")
	})
	t.Cleanup(func() {
		if t.Failed() {
			a.report()
		}
	})
	c.run(t, a.manifest, "apply", "-f", "-")
	c.run(t, nil, "rollout", "status", "deployment/"+name, "--timeout="+deadline.String())
	return a
}

// pods returns those that are not being deleted, by name.
func (a *app) pods() []pod {
	a.Helper()
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
	out := a.run(a.T, nil, "get", "pods", a.selector(), "--sort-by=.metadata.name", "-o", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		a.Fatal(err)
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
	if len(pods) == 0 {
		a.Fatal("no pod is left")
	}
	return pods
}

func (a *app) selector() string { return "--selector=app.kubernetes.io/name=" + a.name }

// wantPods says that nothing was replaced or restarted.
func (a *app) wantPods(want ...pod) {
	a.Helper()
	if diff := cmp.Diff(want, a.pods()); diff != "" {
		a.Errorf("pods or containers were restarted (-before +after):\n%s", diff)
	}
}

// waitServed waits until the pod answers with want.
func (a *app) waitServed(p pod, want string) {
	a.Helper()
	a.wait(fmt.Sprintf("the answer %q", want), func() (bool, string) {
		answer, err := a.get(p)
		return err == nil && answer == want, fmt.Sprintf("%q (%v)", answer, err)
	})
}

// waitLog waits for a line of a container's log, of its present run.
func (a *app) waitLog(p pod, container, line string) {
	a.Helper()
	a.wait(fmt.Sprintf("the line %q of %s", line, p.Name), func() (bool, string) {
		log, err := a.try(nil, "logs", p.Name, "--container", container)
		return slices.Contains(strings.Split(log, "\n"), line), fmt.Sprintf("%d lines (%v)", strings.Count(log, "\n"), err)
	})
}

// waitOutcomes waits until podsignal's log tells of as many outcomes, which must match
// the wanted ones, and of one signal for each. A signal too many would come before the
// outcome of the one before, which takes VERIFY, 5 s.
func (a *app) waitOutcomes(p pod, want ...string) {
	a.Helper()
	var log string
	var outcomes []string
	a.wait(fmt.Sprintf("outcome %d of podsignal in %s", len(want), p.Name), func() (bool, string) {
		var err error
		log, err = a.try(nil, "logs", p.Name, "--container=podsignal")
		outcomes = nil
		for _, match := range regexp.MustCompile(` outcome=(\w+)`).FindAllStringSubmatch(log, -1) {
			outcomes = append(outcomes, match[1])
		}
		return len(outcomes) >= len(want), fmt.Sprintf("%v (%v)", outcomes, err)
	})
	wanted := regexp.MustCompile("^" + strings.Join(want, " ") + "$")
	if signals := strings.Count(log, " msg=signalled "); signals != len(want) || !wanted.MatchString(strings.Join(outcomes, " ")) {
		a.Fatalf("%s: %d signals with the outcomes %v, want one for each of %v:\n%s", p.Name, signals, outcomes, want, log)
	}
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
		time.Sleep(time.Second)
	}
}

// get asks a pod's port http for its page. A forward of its own for each request
// does not suffer from what became of the one before.
func (a *app) get(p pod) (string, error) {
	ctx, cancel := context.WithTimeout(a.ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", "--namespace", a.namespace,
		"port-forward", "--address=127.0.0.1", "pod/"+p.Name, ":http")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}()

	var said, address string
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		said += lines.Text() + "\n"
		address = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	if address == "" {
		return "", fmt.Errorf("kubectl port-forward: %s", said)
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
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
