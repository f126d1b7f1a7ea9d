package daemons_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/programs"
)

// calls are the daemons that reload by HTTP, by RELOAD_URL.
var calls = []daemon{
	example("prometheus-url", daemon{
		name:    "Prometheus by URL",
		program: "/usr/bin/prometheus",
		pkg:     "prometheus",
		sidecar: "65532", // its image's
		change:  [2]string{"warning", "critical"},
		setting: alertSeverity,
		idle:    keptAlive(":9090"),
		breaks:  [2]string{"scrape_configs", "scrape_konfigs"},
	}),
}

func TestCalls(t *testing.T) {
	inPods(t, calls, func(t *testing.T, d daemon) { d.testCall(t) })
}

// testCall reloads the daemon with a good configuration, with one that it refuses, and
// with another good one.
func (d daemon) testCall(t *testing.T) {
	p, pid := d.begin(t)
	// podsignal does not know since when the daemon runs, so it calls once at the start.
	d.wantCalls(t, p, 1)
	before := startTime(t, pid)
	idle, err := d.idle()
	check(t, err)
	defer idle.Close()

	failures := d.ask()
	changed := replace(d.files, d.change)
	d.write(t, changed)
	await(t, "the new setting", func() error { return d.answers(d.change[1]) })
	d.wantCalls(t, p, 2)
	if failed := failures(); len(failed) > 0 {
		t.Errorf("%d requests failed during the reload, the first: %v", len(failed), failed[0])
	}
	if isClosed(t, idle, 100*time.Millisecond) {
		t.Error("an idle connection is closed")
	}

	d.write(t, replace(changed, d.breaks))
	if level := p.value(t, "500 Internal Server Error", 1, "level"); level != "WARN" {
		t.Errorf("the refusal is logged at level %s, want WARN", level)
	}
	await(t, "podsignal is out of sync", metric("podsignal_out_of_sync 1"))
	await(t, "the reload has failed", metric("podsignal_last_reload_successful 0"))
	if got, want := d.afterBroken(pid, d.change[1]), programs.Keeps; got != want {
		t.Errorf("with a broken configuration it %s, want that it %s", got, want)
	}

	d.write(t, replace(changed, [2]string{d.change[1], "fixed"}))
	await(t, "the setting after that", func() error { return d.answers("fixed") })
	d.wantCalls(t, p, 3)
	await(t, "podsignal is in sync", metric("podsignal_out_of_sync 0"))
	await(t, "the last reload was successful", metric("podsignal_last_reload_successful 1"))
	if now := startTime(t, pid); now != before {
		t.Errorf("process %s has started at tick %s, it was %s: it has been restarted", pid, now, before)
	}
}

// wantCalls waits for what podsignal says of the nth call that has succeeded.
func (d daemon) wantCalls(t *testing.T, p *process, n int) {
	t.Helper()
	p.value(t, "msg=called", n, "digest")
	if calls := p.lines("msg=called"); len(calls) != n {
		t.Errorf("%d calls, want %d:\n%s", len(calls), n, strings.Join(calls, "\n"))
	}
}

// metric looks for a line on podsignal's page.
func metric(line string) func() error {
	return func() error {
		response, err := http.Get("http://127.0.0.1:9533/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		page, err := io.ReadAll(response.Body)
		if err == nil && !strings.Contains(string(page), "\n"+line+"\n") {
			err = fmt.Errorf("not on the page:\n%s", page)
		}
		return err
	}
}

// With Compose, Prometheus has the same arguments and files as in the pod, but the two
// are at the names of their services.
func TestCompose(t *testing.T) {
	const folder = "../prometheus-url/"
	var compose struct {
		Services struct {
			Prometheus struct{ Command, Volumes []string }
			Podsignal  struct {
				Environment map[string]string
				Volumes     []string
			}
		}
	}
	parse := func(content []byte, into any) { t.Helper(); check(t, yaml.Unmarshal(content, into)) }
	read := func(path string) []byte {
		t.Helper()
		content, err := os.ReadFile(path)
		check(t, err)
		return content
	}

	d, services := calls[0], &compose.Services
	parse(read(folder+"compose.yaml"), &compose)
	if diff := cmp.Diff(d.args, services.Prometheus.Command); diff != "" {
		t.Errorf("arguments -in kubernetes.yaml +in compose.yaml\n%s", diff)
	}
	want := map[string]string{
		"FILE": d.dir, "RELOAD_URL": strings.Replace(d.url, "127.0.0.1", "prometheus", 1), "LISTEN": ":9533",
	}
	if diff := cmp.Diff(want, services.Podsignal.Environment); diff != "" {
		t.Errorf("environment -in kubernetes.yaml +in compose.yaml\n%s", diff)
	}
	mounts := []string{"${PROMETHEUS_CONF:-./conf}:" + d.dir + ":ro"}
	for _, got := range [][]string{services.Prometheus.Volumes, services.Podsignal.Volumes} {
		if diff := cmp.Diff(mounts, got); diff != "" {
			t.Errorf("volumes -want +got\n%s", diff)
		}
	}

	inPod, inCompose := make(map[string]any), make(map[string]any)
	for name, content := range d.files {
		var file any
		parse([]byte(strings.ReplaceAll(content, "localhost:9533", "podsignal:9533")), &file)
		inPod[name] = file
	}
	paths, err := filepath.Glob(folder + "conf/*")
	check(t, err)
	for _, path := range paths {
		var file any
		parse(read(path), &file)
		inCompose[filepath.Base(path)] = file
	}
	if diff := cmp.Diff(inPod, inCompose); diff != "" {
		t.Errorf("files -in kubernetes.yaml +in conf\n%s", diff)
	}
}
