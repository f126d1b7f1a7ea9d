//go:build e2e

// Package e2e_test runs the examples on the cluster of the current kubectl context.
package e2e_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestE2E(t *testing.T) {
	c := connect(t)
	t.Run("nginx", func(t *testing.T) {
		t.Parallel()
		// One after the other: all their names are the same.
		for _, kind := range []string{"ConfigMap", "Secret"} {
			t.Run(kind, func(t *testing.T) { testNginx(t, c, kind) })
		}
	})
	t.Run("restart-in-place", func(t *testing.T) {
		t.Parallel()
		testRestartInPlace(t, c)
	})
}

// testNginx changes the configuration in a volume of that kind, then breaks it.
func testNginx(t *testing.T, c *cluster, kind string) {
	a := start(t, c, "nginx", kind)
	before := a.pods()[0]
	a.waitServed(before, "hello from nginx\n")

	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye from nginx\n")
	a.waitOutcomes(before, "replaced")
	a.wantPods(before)

	a.edit("return", "retrun")
	a.waitOutcomes(before, "replaced", "kept")
	a.waitServed(before, "goodbye from nginx\n")
	a.wantPods(before)
}

func testRestartInPlace(t *testing.T, c *cluster) {
	a := start(t, c, "restart-in-place", "ConfigMap")
	before := a.pods()
	for _, pod := range before {
		a.waitLog(pod, "app", "hello")
	}

	a.edit("hello", "goodbye")
	for _, pod := range before {
		// The log of this run of the container, which begins with the new value.
		a.waitLog(pod, "app", "goodbye")
		// It has ended if its successor was not there within VERIFY.
		a.waitOutcomes(pod, "(restarted|ended)")
	}
	after := a.pods()
	for i, pod := range after {
		was, is := before[i].Containers["app"], pod.Containers["app"]
		if was.ID == is.ID {
			t.Errorf("%s: container app is still %s", pod.Name, is.ID)
		}
		was.ID = is.ID
		was.Restarts++
		before[i].Containers["app"] = was
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("but for one restart of app, the pods have changed (-before +after):\n%s", diff)
	}
}
