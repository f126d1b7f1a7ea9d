//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A cluster is a namespace of the cluster that kubectl speaks to.
type cluster struct {
	ctx       context.Context // ends with the test, and on SIGINT: what was applied is then deleted
	namespace string
}

// connect skips the test where there is no cluster, and has it fail where no
// namespace is given: nobody's cluster is changed by mistake.
func connect(t *testing.T) *cluster {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	c := &cluster{ctx: ctx, namespace: os.Getenv("E2E_NAMESPACE")}
	switch _, err := kubectl(ctx, nil, "get", "--raw", "/version", "--request-timeout=10s"); {
	// A cluster that does not let us in is one nevertheless.
	case err != nil && !strings.Contains(err.Error(), "(Unauthorized)") && !strings.Contains(err.Error(), "(Forbidden)"):
		t.Skipf("no cluster: install kubectl, set KUBECONFIG, or choose another context: %v", err)
	case err != nil:
		t.Fatal(err)
	case c.namespace == "":
		t.Fatal("set E2E_NAMESPACE to a namespace; one that is not there is created, and deleted at the end")
	}

	found := c.run(t, nil, "get", "namespace", c.namespace, "--ignore-not-found", "-o", "name")
	if found == "" {
		c.run(t, nil, "create", "namespace", c.namespace)
		t.Cleanup(func() { c.clean(t, nil, "delete", "namespace", c.namespace, "--timeout=2m") })
		// nginx's master is root, which the level restricted forbids.
		c.run(t, nil, "label", "namespace", c.namespace, "pod-security.kubernetes.io/enforce=baseline")
	}
	t.Logf("namespace %s\n%s", c.namespace, c.run(t, nil, "version"))
	return c
}

// run runs kubectl in the namespace. If it fails, so does the test.
func (c *cluster) run(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	out, err := c.try(stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *cluster) try(stdin []byte, args ...string) (string, error) {
	return kubectl(c.ctx, stdin, append([]string{"--namespace", c.namespace}, args...)...)
}

// clean is run for the end of the test, when its context is done.
func (c *cluster) clean(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	out, err := kubectl(context.Background(), stdin, append([]string{"--namespace", c.namespace}, args...)...)
	if err != nil {
		t.Error(err)
	}
	return out
}

// kubectl returns what it printed; its error holds what it complained of.
func kubectl(ctx context.Context, stdin []byte, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}
