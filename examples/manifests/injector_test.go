package manifests_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// injector builds podsignal, and returns its command inject.
func injector(t *testing.T) func(manifest string, flags ...string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "podsignal")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", program, "./cmd/podsignal")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(manifest string, flags ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"inject"}, flags...)...)
		cmd.Stdin = strings.NewReader(manifest)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		return stdout.Bytes()
	}
}

// TestInjectedContainer is what podsignal inject makes of annotations, field by field.
func TestInjectedContainer(t *testing.T) {
	const pod = `
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    podsignal/listen: "9533"
    podsignal/hold: "true"
    podsignal/min-interval: 6s
    podsignal/exclude: "**/*.md"
    podsignal/signal: USR1
    podsignal/process: httpd
    podsignal/cmdline: a$
    podsignal/container: httpd
    podsignal/image: registry.example/podsignal:0.1.0
spec:
  initContainers:
    - {name: prepare, image: busybox}
    - {name: agent, image: agent, restartPolicy: Always}
  containers:
    - name: exporter
      image: exporter
      volumeMounts: [{name: conf, mountPath: /conf}]
    - name: httpd
      image: httpd
      securityContext: {runAsUser: 33, runAsGroup: 34}
      volumeMounts:
        - {name: tls, mountPath: /etc/tls}
        - {name: csi, mountPath: /etc/csi}
        - {name: cache, mountPath: /cache}
        - {name: kube-api-access-abcde, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
        - {name: both, mountPath: /etc/both}
        - {name: conf, mountPath: /etc/httpd}
  volumes:
    - {name: conf, configMap: {name: conf}}
    - {name: tls, secret: {secretName: tls}}
    - {name: both, projected: {sources: [{configMap: {name: kube-root-ca.crt}}, {configMap: {name: more}}]}}
    - {name: csi, csi: {driver: secrets-store.csi.k8s.io}}
    - {name: cache, emptyDir: {}}
    - name: kube-api-access-abcde
      projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: kube-root-ca.crt}}, {downwardAPI: {}}]}
`
	objects, err := decode(injector(t)(pod))
	if err != nil {
		t.Fatal(err)
	}
	got := objects[0].(*corev1.Pod).Spec
	if len(got.InitContainers) != 3 || got.ShareProcessNamespace == nil || !*got.ShareProcessNamespace {
		t.Fatalf("%d init containers, shareProcessNamespace %v", len(got.InitContainers), got.ShareProcessNamespace)
	}
	want := corev1.Container{
		Name:            "podsignal",
		Image:           "registry.example/podsignal:0.1.0",
		ImagePullPolicy: corev1.PullIfNotPresent,
		RestartPolicy:   new(corev1.ContainerRestartPolicyAlways),
		Env: []corev1.EnvVar{
			{Name: "PROCESS", Value: "httpd"},
			{Name: "CMDLINE", Value: "a$$"},
			{Name: "SIGNAL", Value: "USR1"},
			{Name: "EXCLUDE", Value: "**/*.md"},
			{Name: "MIN_INTERVAL", Value: "6s"},
			{Name: "LISTEN", Value: "9533"},
			{Name: "HOLD", Value: "/podinfo/approved"},
		},
		Ports: []corev1.ContainerPort{{Name: "podsignal", ContainerPort: 9533}},
		LivenessProbe: &corev1.Probe{
			ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("podsignal")}},
			TimeoutSeconds: 5,
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "tls", MountPath: "/etc/tls", ReadOnly: true},
			{Name: "both", MountPath: "/etc/both", ReadOnly: true},
			{Name: "conf", MountPath: "/etc/httpd", ReadOnly: true},
			{Name: "podsignal-hold", MountPath: "/podinfo", ReadOnly: true},
		},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser:                new(int64(33)),
			RunAsGroup:               new(int64(34)),
			RunAsNonRoot:             new(true),
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
		},
	}
	if diff := cmp.Diff(want, got.InitContainers[2]); diff != "" {
		t.Errorf("podsignal, wanted (-) and got (+):\n%s", diff)
	}
	approvals := corev1.Volume{Name: "podsignal-hold", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{Path: "approved", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['podsignal/approved']"}}},
	}}}
	if diff := cmp.Diff(approvals, got.Volumes[len(got.Volumes)-1]); diff != "" {
		t.Errorf("the last volume, wanted (-) and got (+):\n%s", diff)
	}
}

// TestKustomizePipe is kubectl kustomize | podsignal inject.
func TestKustomizePipe(t *testing.T) {
	built := build(t, "testdata/pipe")
	want, err := decode(built) // a ConfigMap, and then the Deployment
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(injector(t)(string(built)))
	if err != nil {
		t.Fatal(err)
	}
	pod := &got[1].(*appsv1.Deployment).Spec.Template.Spec
	if len(pod.InitContainers) != 1 || pod.InitContainers[0].Name != "podsignal" || pod.ShareProcessNamespace == nil || !*pod.ShareProcessNamespace {
		t.Fatalf("podsignal was not added: %+v", pod)
	}
	if diff := cmp.Diff([]corev1.EnvVar{{Name: "PROCESS", Value: "nginx"}}, pod.InitContainers[0].Env); diff != "" {
		t.Error(diff)
	}
	pod.InitContainers, pod.ShareProcessNamespace = nil, nil
	same(t, want, got)
}
