//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFigures prints how long it takes from `kubectl patch` to the answer of the last of
// three replicas of nginx. It is no test: $E2E_FIGURES is how often each is measured.
func TestFigures(t *testing.T) {
	var times int
	if _, err := fmt.Sscan(os.Getenv("E2E_FIGURES"), &times); err != nil {
		t.Skip("set E2E_FIGURES to how often each figure is to be measured")
	}
	c := connect(t)
	m := read(t, "nginx", "figures")
	m.workload()["spec"].(object)["replicas"] = 3
	a := start(t, c, m)
	for _, p := range a.pods() {
		a.waitServed(p, "hello from nginx")
	}
	if err := c.plugin(); err != nil { // that is not to be measured
		t.Fatal(err)
	}

	is, n := "hello", 0
	for _, way := range []struct {
		name string
		then func() // right after the patch; nil: nothing
		most time.Duration
	}{
		{"at the kubelet's pace", nil, 0},
		{"with an annotation of the pods", func() {
			a.run(t, nil, "annotate", "pods", a.selector(), "--overwrite", fmt.Sprint("touched=", n))
		}, 0},
		{"by kubectl podsignal sync, to its end", func() {
			a.wantPodsignal(0, []string{"sync", "deployment/figures"}, `^3 of 3 pods live$`)
		}, 3 * time.Second},
		{"by kubectl rollout restart", func() { a.run(t, nil, "rollout", "restart", "deployment/figures") }, 0},
	} {
		var all []time.Duration
		for range times {
			n++
			was := is
			is = fmt.Sprint("change-", n)
			began := time.Now()
			a.patch(was, is)
			if way.then != nil {
				way.then()
			}
			a.waitServedByAll(3, is+" from nginx")
			all = append(all, time.Since(began))
			a.waitRollout()
		}
		t.Logf("figure: from kubectl patch to the answer of the last of 3 replicas, %s: %s", way.name, seconds(all))
		slices.Sort(all)
		if median := all[len(all)/2]; way.most > 0 && median > way.most {
			t.Errorf("%s the median is %v, want at most %v", way.name, median, way.most)
		}
	}
}

func seconds(all []time.Duration) string {
	var text []string
	for _, d := range all {
		text = append(text, fmt.Sprintf("%.1f s", d.Seconds()))
	}
	return strings.Join(text, ", ")
}

// TestStaged rolls a broken change out at the kubelet's own pace: one of three pods refuses it, and
// the others keep what they run for longer than the kubelet needs to bring it to all of them.
func TestStaged(t *testing.T) {
	if os.Getenv("E2E_FIGURES") == "" {
		t.Skip("set E2E_FIGURES: it takes 4 minutes")
	}
	const workload = "deployment/staged"
	c := connect(t)
	a := startHeld(t, c, "staged", 3)
	before := a.pods()
	a.wantPodsignal(0, []string{"sync", workload}, `^3 of 3 pods live$`)

	a.edit("server {", "sever {")
	a.wantPodsignal(1, []string{"rollout", workload}, `^`+before[0].Name+`: refused after `, `^0 of 3 pods live, .*1 refused`)
	for began := time.Now(); time.Since(began) < 2*kubeletPeriod; time.Sleep(5 * time.Second) {
		for _, p := range before {
			if answer, err := a.get(p, "/"); err != nil || strings.TrimSpace(answer) != "hello from nginx" {
				t.Fatalf("%s answers %q (%v)", p.Name, answer, err)
			}
		}
	}
	a.wantPodsignal(1, []string{"status", workload}, `^0 of 3 pods live, 2 held, 1 refused$`)
	for _, p := range before[1:] {
		a.waitOutcomes(p)
	}
	a.edit("sever {", "server {")
	a.wantPodsignal(0, []string{"rollout", workload}, `^3 of 3 pods live$`)
	a.wantPods(before...)
}

// kubeletPeriod is the longest that a kubelet took to update a volume at its defaults.
const kubeletPeriod = 90 * time.Second

// patch is edit by kubectl, as a person would do it.
func (a *app) patch(word, by string) {
	a.Helper()
	config := a.configs[0]
	for key, value := range config.data {
		config.data[key] = strings.ReplaceAll(value, word, by)
	}
	a.run(a.T, nil, "patch", "configmap", config.name, "--type=merge", "--patch", fmt.Sprintf(`{"data":{"site.conf":%q}}`, config.data["site.conf"]))
}

// waitServedByAll waits until there are so many pods, and all answer with want. It looks
// more often than others do.
func (a *app) waitServedByAll(count int, want string) {
	a.Helper()
	for began := time.Now(); time.Since(began) < deadline; time.Sleep(50 * time.Millisecond) {
		pods, served := a.pods(), 0
		for _, p := range pods {
			if answer, err := a.get(p, "/"); err == nil && strings.TrimSpace(answer) == want {
				served++
			}
		}
		if served == count && served == len(pods) {
			return
		}
	}
	a.Fatalf("not all answer %q within %v", want, deadline)
}
