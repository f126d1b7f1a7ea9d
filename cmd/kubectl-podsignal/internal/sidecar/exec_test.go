package sidecar

import (
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

// TestUnanswered: a kubelet that does not answer does not keep the plugin waiting.
func TestUnanswered(t *testing.T) {
	s := apitest.New(t)
	pod := apitest.NewDeployment(s, "web", 0).AddPod("web-0")
	release := make(chan struct{})
	s.Exec = func(*apitest.Exec) int { <-release; return 0 }
	defer close(release)
	config := &rest.Config{Host: s.URL}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	e := NewExecutor(config, client.CoreV1().RESTClient())
	e.statusWithin = 100 * time.Millisecond
	_, err = e.Status(t.Context(), pod, Find(&pod.Spec))
	if err == nil || !strings.Contains(err.Error(), "it has not answered within 100ms") {
		t.Errorf("the error is %v", err)
	}
}
