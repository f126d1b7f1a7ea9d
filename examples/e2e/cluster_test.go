//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A cluster is a namespace of the cluster that kubectl speaks to.
type cluster struct {
	ctx       context.Context // ends with the test, and on SIGINT: what was applied is then deleted
	namespace string
	// proxy is where the API is without credentials, for what is asked often: a process
	// of kubectl for each question would keep a small machine busy.
	proxy func() (url string, err error)
	// plugin builds the plugin of kubectl, once.
	plugin func() error
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

	c.proxy = sync.OnceValues(func() (string, error) { return serveAPI(t) })
	c.plugin = sync.OnceValue(func() error { return buildPlugin(t) })
	if c.run(t, nil, "get", "namespace", c.namespace, "--ignore-not-found", "-o", "name") == "" {
		// nginx's master is root, which the level restricted forbids.
		c.create(t, "baseline")
	}
	t.Logf("namespace %s\n%s", c.namespace, c.run(t, nil, "version"))
	return c
}

// create creates the namespace, at a level of Pod Security, and deletes it with the test.
func (c *cluster) create(t *testing.T, level string) {
	t.Helper()
	c.run(t, nil, "create", "namespace", c.namespace)
	t.Cleanup(func() { c.clean(t, nil, "delete", "namespace", c.namespace, "--timeout=2m") })
	c.run(t, nil, "label", "namespace", c.namespace, "pod-security.kubernetes.io/enforce="+level)
}

// serveAPI runs kubectl proxy until the end of the test.
func serveAPI(t *testing.T) (string, error) {
	cmd := exec.Command("kubectl", "proxy", "--port=0", "--address=127.0.0.1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if address == "" {
		return "", fmt.Errorf("kubectl proxy: %q (%w)", line, err)
	}
	return "http://" + address, nil
}

// ask sends a request to the API, below the namespace, and returns its answer's body.
func (c *cluster) ask(method, path string, body any) (string, error) {
	base, err := c.proxy()
	if err != nil {
		return "", err
	}
	path = fmt.Sprintf(path, c.namespace)
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/merge-patch+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return string(answer), err
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
