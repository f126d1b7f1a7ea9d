//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestNode causes failures of the node's own programs, one after the other. $E2E_NODE is a
// command that stops and starts one of them, such as .ci/cluster.
func TestNode(t *testing.T) {
	if os.Getenv("E2E_NODE") == "" {
		t.Skip("set E2E_NODE to the path of .ci/cluster, or to a program that takes the same: stop|start NAME")
	}
	c := connect(t)

	// While the kubelet is away, changes reach no volume; then the last one does, alone.
	t.Run("kubelet stopped for a minute", func(t *testing.T) {
		a := start(t, c, read(t, "nginx", "kubelet-stopped"))
		before := a.pods()[0]
		a.waitServed(before, "hello from nginx")
		node(t, "stop", "kubelet")
		began, is := time.Now(), "hello"
		for n := 1; time.Since(began) < time.Minute; n++ {
			was := is
			is = fmt.Sprint("change-", n)
			a.edit(was, is)
			time.Sleep(10 * time.Second)
		}
		a.waitServed(before, "hello from nginx")
		node(t, "start", "kubelet")
		a.waitServed(before, is+" from nginx")
		a.waitOutcomes(before, "replaced")
		a.wantPods(before)
	})

	// Containers outlive it.
	t.Run("containerd restarted", func(t *testing.T) {
		a := start(t, c, read(t, "nginx", "containerd-restarted"))
		before := a.pods()[0]
		a.waitServed(before, "hello from nginx")
		node(t, "stop", "containerd")
		a.edit("hello", "goodbye")
		node(t, "start", "containerd")
		a.waitServed(before, "goodbye from nginx")
		a.waitOutcomes(before, "replaced")
		a.edit("goodbye", "welcome")
		a.waitServed(before, "welcome from nginx")
		a.waitOutcomes(before, "replaced", "replaced")
		a.wantPods(before)
	})
}

// node stops or starts a program of the node. What was stopped is started at the test's
// end, if it was not before.
func node(t *testing.T, verb, program string) {
	t.Helper()
	out, err := exec.Command(os.Getenv("E2E_NODE"), verb, program).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", verb, program, err, out)
	}
	if verb == "stop" {
		t.Cleanup(func() { _ = exec.Command(os.Getenv("E2E_NODE"), "start", program).Run() })
	}
}
