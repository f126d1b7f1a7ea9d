package apitest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

func clientOf(t *testing.T, s *Server) (*rest.Config, kubernetes.Interface) {
	config := &rest.Config{Host: s.URL, QPS: -1}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return config, client
}

// TestForbidden: the words are those of RBAC, which messages of the plugin quote.
func TestForbidden(t *testing.T) {
	s := New(t)
	_, client := clientOf(t, s)
	s.Deny("list pods", "get deployments", "get secrets")
	list := func(namespace string) error {
		_, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		return err
	}
	_, deployment := client.AppsV1().Deployments("default").Get(t.Context(), "web", metav1.GetOptions{})
	_, secret := client.CoreV1().Secrets("default").Get(t.Context(), "tls", metav1.GetOptions{})
	for want, err := range map[string]error{
		`pods is forbidden: User "tester" cannot list resource "pods" in API group "" in the namespace "default"`:                             list("default"),
		`pods is forbidden: User "tester" cannot list resource "pods" in API group "" at the cluster scope`:                                   list(""),
		`deployments.apps "web" is forbidden: User "tester" cannot get resource "deployments" in API group "apps" in the namespace "default"`: deployment,
		`secrets "tls" is forbidden: User "tester" cannot get resource "secrets" in API group "" in the namespace "default"`:                  secret,
	} {
		if !apierrors.IsForbidden(err) || err.Error() != want {
			t.Errorf("the error is %v\nwant %s", err, want)
		}
	}
}

func TestDaemonSet(t *testing.T) {
	s := New(t)
	_, client := clientOf(t, s)
	s.Put(&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "agent"}})
	got, err := client.AppsV1().DaemonSets("default").Get(t.Context(), "agent", metav1.GetOptions{})
	if err != nil || got.Name != "agent" {
		t.Errorf("%v, %v", got, err)
	}
}

// TestPatch: patches at the same time are all there afterwards, and nothing but annotations changes.
func TestPatch(t *testing.T) {
	s := New(t)
	_, client := clientOf(t, s)
	s.Put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
	patch := func(body string) error {
		_, err := client.CoreV1().Pods("default").Patch(t.Context(), "web", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	}
	const patches = 50
	var all sync.WaitGroup
	for i := range patches {
		all.Go(func() {
			if err := patch(fmt.Sprintf(`{"metadata":{"annotations":{"a%d":"x"}}}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	pod := Get(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
	if len(pod.Annotations) != patches {
		t.Errorf("%d annotations, want %d", len(pod.Annotations), patches)
	}
	if err := patch(`{"metadata":{"labels":{"app":"x"}}}`); !apierrors.IsBadRequest(err) {
		t.Errorf("a patch of labels: %v", err)
	}
}

// TestExec: what a command prints, and its exit status, arrive.
func TestExec(t *testing.T) {
	s := New(t)
	config, _ := clientOf(t, s)
	s.Put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
	s.Exec = func(e *Exec) int {
		fmt.Fprint(&e.Stdout, e.Pod.Name, e.Container, e.Command)
		e.Stderr.WriteString("why")
		return 3
	}
	url := s.URL + "/api/v1/namespaces/default/pods/web/exec?container=podsignal&command=a&command=b&stdout=true&stderr=true"
	executor, err := remotecommand.NewWebSocketExecutor(config, "GET", url)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	exit, ok := errors.AsType[exec.CodeExitError](err)
	if !ok || exit.Code != 3 || stdout.String() != "webpodsignal[a b]" || stderr.String() != "why" {
		t.Errorf("%v, stdout %q, stderr %q", err, &stdout, &stderr)
	}
}
