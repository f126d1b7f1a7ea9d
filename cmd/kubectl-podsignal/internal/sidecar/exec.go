package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

const (
	statusWithin = 30 * time.Second
	runWithin    = 10 * time.Minute
)

// An Executor runs commands in containers. A kubelet that does not answer is no reason to wait for
// ever: podsignal status takes milliseconds, and podsignal send as long as VERIFY, or the URL.
type Executor struct {
	config       *rest.Config
	client       rest.Interface // of the core API
	statusWithin time.Duration
}

// NewExecutor runs them by the API server of config, of whose core API client is one.
func NewExecutor(config *rest.Config, client rest.Interface) *Executor {
	return &Executor{config, client, statusWithin}
}

// Run runs podsignal in its container of a pod with these arguments. Status is its exit status, and
// the error is nil if there is one.
func (e *Executor) Run(ctx context.Context, pod *corev1.Pod, s *Sidecar, args ...string) (stdout, stderr string, status int, err error) {
	return e.run(ctx, runWithin, pod, s, args...)
}

func (e *Executor) run(ctx context.Context, within time.Duration, pod *corev1.Pod, s *Sidecar, args ...string) (stdout, stderr string, status int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it has not answered within %v", within))
	defer cancel()
	url := e.client.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: s.Container.Name,
			Command:   append([]string{s.Binary}, args...),
			Stdout:    true,
			Stderr:    true,
		}, scheme.ParameterCodec).URL()
	// As kubectl does: SPDY is what older servers, and some proxies, know alone.
	webSocket, err := remotecommand.NewWebSocketExecutor(e.config, http.MethodGet, url.String())
	if err != nil {
		return "", "", 0, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(e.config, http.MethodPost, url)
	if err != nil {
		return "", "", 0, err
	}
	executor, err := remotecommand.NewFallbackExecutor(webSocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return "", "", 0, err
	}
	var out, errOut bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut})
	if ctx.Err() != nil {
		return "", "", 0, context.Cause(ctx)
	}
	if exit, ok := errors.AsType[exec.ExitError](err); ok && exit.Exited() {
		return out.String(), errOut.String(), exit.ExitStatus(), nil
	}
	if err != nil && strings.Contains(err.Error(), "is forbidden: ") {
		err = &forbiddenError{err} // an upgrade to WebSocket has no status but that of HTTP in its text
	}
	return out.String(), errOut.String(), 0, err
}

// Exit statuses of podsignal status.
const (
	wrongArguments = 2
	noSidecar      = 3 // no podsignal runs there
)

// Status asks podsignal for the status of its rules.
func (e *Executor) Status(ctx context.Context, pod *corev1.Pod, s *Sidecar) ([]Status, error) {
	stdout, stderr, exit, err := e.run(ctx, e.statusWithin, pod, s, "status", "--json")
	switch {
	case err != nil:
		return nil, err
	case exit == noSidecar:
		return nil, fmt.Errorf("podsignal does not run in the container %s", s.Container.Name)
	case exit == wrongArguments && stdout == "":
		return nil, fmt.Errorf("it has no podsignal status --json, which this plugin needs: use podsignal's image of the plugin's version (%s)", strings.TrimSpace(stderr))
	case stdout == "":
		return nil, fmt.Errorf("podsignal status --json ends with %d: %s", exit, strings.TrimSpace(stderr))
	}
	return parse([]byte(stdout))
}

// A forbiddenError says that the right to run commands is missing.
type forbiddenError struct{ error }

// IsForbidden tells whether an error says that a right is missing.
func IsForbidden(err error) bool {
	_, is := errors.AsType[*forbiddenError](err)
	return is || apierrors.IsForbidden(err)
}
