//go:build admission

package admission_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const patience = 30 * time.Second

type object = map[string]any

// A server is a kube-apiserver with etcd, of this test alone.
type server struct {
	url    string
	client *http.Client
	beta   bool // MutatingAdmissionPolicy is v1beta1
}

// An answer is that to a request, with kubectl's warnings.
type answer struct {
	code     int
	object   object
	body     string
	warnings []string
}

// programs are where .ci/cluster builds them.
func cache(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("CLUSTER_CACHE")
	if folder == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		folder = filepath.Join(base, "podsignal-cluster")
	}
	return folder
}

// startServer starts both on loopback, with the policies, until the end of the test. An older
// version of Kubernetes is emulated; empty: the present one.
func startServer(t *testing.T, version string) *server {
	t.Helper()
	etcd := filepath.Join(cache(t), "etcd/usr/bin/etcd")
	apiserver := filepath.Join(cache(t), "bin/kube-apiserver")
	for _, path := range []string{etcd, apiserver} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("no %s: build it by .ci/cluster programs", filepath.Base(path))
		}
	}
	dir := t.TempDir()
	clients, peers, port := freePort(t), freePort(t), freePort(t)
	run(t, dir, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://"+clients, "--advertise-client-urls", "http://"+clients,
		"--listen-peer-urls", "http://"+peers, "--initial-advertise-peer-urls", "http://"+peers, "--initial-cluster", "default=http://"+peers)

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	accounts, tokens := filepath.Join(dir, "accounts.key"), filepath.Join(dir, "tokens")
	for path, content := range map[string][]byte{accounts: block, tokens: []byte("admission,admin,1,system:masters\n")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, number, _ := net.SplitHostPort(port)
	args := []string{
		"--etcd-servers", "http://" + clients, "--bind-address", host, "--secure-port", number,
		"--cert-dir", filepath.Join(dir, "certificates"), "--token-auth-file", tokens, "--authorization-mode", "RBAC",
		"--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", accounts, "--service-account-signing-key-file", accounts,
	}
	if version != "" {
		args = append(args, "--emulated-version", version, "--feature-gates", "MutatingAdmissionPolicy=true",
			"--runtime-config", "admissionregistration.k8s.io/v1beta1=true", "--emulation-forward-compatible")
	}
	run(t, dir, apiserver, args...)

	// Its certificate is its own: it is a server of this test, on loopback.
	s := &server{url: "https://" + port, beta: version != "", client: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}}
	s.wait(t, "the API server", func() string {
		a, err := s.try(t.Context(), "GET", "/readyz", nil)
		if err != nil || a.code != http.StatusOK {
			return fmt.Sprint(a.body, err)
		}
		return ""
	})
	for _, level := range []string{"privileged", "baseline", "restricted"} {
		s.namespace(t, level, object{"pod-security.kubernetes.io/enforce": level})
	}
	s.install(t)
	return s
}

func (s *server) install(t *testing.T) {
	t.Helper()
	for _, o := range documents(t, filepath.Join(example, "policy.yaml")) {
		if s.beta && strings.HasPrefix(o["kind"].(string), "Mutating") {
			o["apiVersion"] = beta
		}
		s.apply(t, o)
	}
}

// run starts a program, which ends with the test. Its output is shown if the test fails.
func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		log.Close()
		if content, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("%s:\n%s", filepath.Base(program), content[max(0, len(content)-4000):])
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) wait(t *testing.T, what string, look func() (missing string)) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		missing := look()
		if missing == "" {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%s: not within %v: %s", what, patience, missing)
		}
	}
}

func (s *server) try(ctx context.Context, method, path string, body any) (answer, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(content))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer admission")
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	a := answer{code: response.StatusCode, body: string(said)}
	_ = json.Unmarshal(said, &a.object) // /readyz answers with a word
	for _, warning := range response.Header.Values("Warning") {
		a.warnings = append(a.warnings, unquoted(warning))
	}
	return a, err
}

// unquoted is the text of a Warning: 299 - "text".
func unquoted(header string) string {
	_, text, _ := strings.Cut(header, `"`)
	text = strings.TrimSuffix(text, `"`)
	text = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text)
	return regexp.MustCompile(`^Validation failed for ValidatingAdmissionPolicy 'podsignal(?:-parameter)?' with binding 'podsignal(?:-parameter)?': `).ReplaceAllString(text, "")
}

// request fails the test unless it is answered.
func (s *server) request(t *testing.T, method, path string, body any) answer {
	t.Helper()
	a, err := s.try(t.Context(), method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

var resources = map[string]string{
	"Namespace": "/api/v1/namespaces", "Pod": "/api/v1/pods", "ConfigMap": "/api/v1/configmaps", "LimitRange": "/api/v1/limitranges",
	"PodTemplate": "/api/v1/podtemplates", "ReplicationController": "/api/v1/replicationcontrollers", "ServiceAccount": "/api/v1/serviceaccounts",
	"ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"Deployment": "/apis/apps/v1/deployments", "StatefulSet": "/apis/apps/v1/statefulsets", "DaemonSet": "/apis/apps/v1/daemonsets",
	"ReplicaSet": "/apis/apps/v1/replicasets", "Job": "/apis/batch/v1/jobs", "CronJob": "/apis/batch/v1/cronjobs",
}

const beta = "admissionregistration.k8s.io/v1beta1"

// path is that of an object's kind, in its namespace.
func path(o object) string {
	p := resources[o["kind"].(string)]
	if policy, found := strings.CutSuffix(o["kind"].(string), "AdmissionPolicy"); found {
		return "/apis/" + o["apiVersion"].(string) + "/" + strings.ToLower(policy) + "admissionpolicies"
	}
	if policy, found := strings.CutSuffix(o["kind"].(string), "AdmissionPolicyBinding"); found {
		return "/apis/" + o["apiVersion"].(string) + "/" + strings.ToLower(policy) + "admissionpolicybindings"
	}
	if namespace, ok := o["metadata"].(object)["namespace"].(string); ok {
		i := strings.LastIndex(p, "/")
		p = p[:i] + "/namespaces/" + namespace + p[i:]
	}
	return p
}

// create creates an object as a dry run.
func (s *server) create(t *testing.T, o object) answer {
	t.Helper()
	return s.request(t, "POST", path(o)+"?dryRun=All", o)
}

// apply has an object be so, and fails the test if that is refused.
func (s *server) apply(t *testing.T, o object) {
	t.Helper()
	a := s.request(t, "PATCH", path(o)+"/"+o["metadata"].(object)["name"].(string)+"?fieldManager=admission&force=true", o)
	if a.code/100 != 2 {
		t.Fatalf("applying %v: %s", o["metadata"], a.body)
	}
}

func (s *server) delete(t *testing.T, o object) {
	t.Helper()
	s.request(t, "DELETE", path(o)+"/"+o["metadata"].(object)["name"].(string), object{"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"})
}

func (s *server) namespace(t *testing.T, name string, labels object) {
	t.Helper()
	s.apply(t, object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": name, "labels": labels}})
	s.apply(t, object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default", "namespace": name}})
}

// documents are those of a file.
func documents(t *testing.T, path string) (all []object) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}
