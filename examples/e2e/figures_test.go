//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
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

	is, n := "hello", 0
	for _, way := range []struct {
		name string
		then []string // kubectl's arguments, right after the patch
	}{
		{"at the kubelet's pace", nil},
		{"with an annotation of the pods", []string{"annotate", "pods", a.selector(), "--overwrite", "touched="}},
		{"by kubectl rollout restart", []string{"rollout", "restart", "deployment/figures"}},
	} {
		var took []string
		for range times {
			n++
			was := is
			is = fmt.Sprint("change-", n)
			began := time.Now()
			a.patch(was, is)
			if way.then != nil {
				args := way.then
				if args[0] == "annotate" {
					args = append(args[:len(args)-1:len(args)-1], fmt.Sprint("touched=", n))
				}
				a.run(t, nil, args...)
			}
			a.waitServedByAll(3, is+" from nginx")
			took = append(took, fmt.Sprintf("%.1f s", time.Since(began).Seconds()))
			a.waitRollout()
		}
		t.Logf("figure: from kubectl patch to the answer of the last of 3 replicas, %s: %s", way.name, strings.Join(took, ", "))
	}
}

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
