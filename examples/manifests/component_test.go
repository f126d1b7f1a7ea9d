package manifests_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
)

// sidecar is what the component adds, where nothing is patched.
func sidecar() corev1.Container {
	annotation := func(key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + key + "']"}}
	}
	return corev1.Container{
		Name:            "podsignal",
		Image:           "podsignal:0.1.0",
		ImagePullPolicy: corev1.PullIfNotPresent,
		RestartPolicy:   new(corev1.ContainerRestartPolicyAlways),
		Env: []corev1.EnvVar{
			{Name: "FILE", Value: "/config"},
			{Name: "PROCESS", ValueFrom: annotation("podsignal/process")},
			{Name: "SIGNAL", ValueFrom: annotation("podsignal/signal")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/config", ReadOnly: true}},
		SecurityContext: &corev1.SecurityContext{
			RunAsNonRoot:             new(true),
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("1m"),
				corev1.ResourceMemory: resource.MustParse("16Mi"),
			},
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
		},
	}
}

func TestComponent(t *testing.T) {
	content, err := os.ReadFile("testdata/component/workloads.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := decode(content)
	if err != nil {
		t.Fatal(err)
	}

	plain := sidecar()
	deployment := &want[0].(*appsv1.Deployment).Spec.Template.Spec
	deployment.ShareProcessNamespace = new(true)
	deployment.InitContainers = []corev1.Container{plain}

	patched := sidecar()
	patched.Env = append([]corev1.EnvVar{{Name: "LISTEN", Value: ":9533"}, {Name: "HOLD", Value: "/podinfo/approved"}}, patched.Env...)
	patched.VolumeMounts[0].Name = "haproxy-conf"
	patched.VolumeMounts = append(patched.VolumeMounts, corev1.VolumeMount{Name: "podinfo", MountPath: "/podinfo", ReadOnly: true})
	patched.SecurityContext.RunAsUser = new(int64(0))
	patched.SecurityContext.RunAsNonRoot = new(false)
	statefulSet := &want[1].(*appsv1.StatefulSet).Spec.Template.Spec
	statefulSet.ShareProcessNamespace = new(true)
	statefulSet.InitContainers = append([]corev1.Container{patched}, statefulSet.InitContainers...)
	statefulSet.Volumes = append([]corev1.Volume{{Name: "podinfo", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{Path: "approved", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['podsignal/approved']"}}},
	}}}}, statefulSet.Volumes...)

	daemonSet := &want[2].(*appsv1.DaemonSet).Spec.Template.Spec
	daemonSet.ShareProcessNamespace = new(true)
	daemonSet.InitContainers = append([]corev1.Container{plain}, daemonSet.InitContainers...)

	// The rest stays as it is.
	same(t, want, render(t, "testdata/component"))
}

func TestOverlay(t *testing.T) {
	added := sidecar()
	added.VolumeMounts[0].Name = "nginx-conf"
	want := render(t, "../kustomize/base") // a ConfigMap, and then the Deployment
	deployment := &want[1].(*appsv1.Deployment).Spec.Template.Spec
	deployment.ShareProcessNamespace = new(true)
	deployment.InitContainers = []corev1.Container{added}

	same(t, want, render(t, "../kustomize/overlay"))
}

func same(t *testing.T, want, got []runtime.Object) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d objects, want %d", len(got), len(want))
	}
	for i := range want {
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Errorf("want - and got +:\n%s", diff)
		}
	}
}
