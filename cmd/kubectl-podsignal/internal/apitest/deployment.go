package apitest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/volume"
)

// A Deployment is pods with podsignal that watch a ConfigMap, in the namespace default. Each has a
// kubelet, which updates the volume when the pod is patched and at no other time, and a podsignal,
// which delivers that at once. All of that is simulated.
type Deployment struct {
	Name string
	Hold bool

	// Kubelet is how long an update takes; Deaf are pods whose kubelet does not update at all.
	Kubelet time.Duration
	Deaf    map[string]bool

	// Outcome is what becomes of the content of key in a pod: replaced, refused, invalid, died,
	// unseen, or unready, which is replaced in a pod that becomes unready. Nil: all is replaced.
	Outcome func(pod, content string) string

	server *Server
	mu     sync.Mutex
	pods   map[string]*podState
}

// Key is the only one of the ConfigMap.
const Key = "nginx.conf"

// podState is what a pod's podsignal and kubelet know.
type podState struct {
	onDisk, running, rejected, outcome string
	approved                           string
	since                              time.Time
}

// NewDeployment adds one, in which all pods run what its ConfigMap of the same name has. It takes
// the server's hooks.
func NewDeployment(s *Server, name string, replicas int) *Deployment {
	d := &Deployment{Name: name, server: s, pods: make(map[string]*podState), Deaf: make(map[string]bool)}
	s.Exec, s.Took = d.exec, d.took
	d.Set("first")
	s.Put(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	})
	for i := range replicas {
		d.AddPod(fmt.Sprintf("%s-%04d", name, i))
	}
	return d
}

// Set changes the ConfigMap.
func (d *Deployment) Set(content string) {
	d.server.Put(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: d.Name},
		Data:       map[string]string{Key: content},
	})
}

// AddPod adds one that starts with what the ConfigMap has.
func (d *Deployment) AddPod(name string) *corev1.Pod {
	content := d.Wanted()
	d.mu.Lock()
	d.pods[name] = &podState{onDisk: content, running: content, since: time.Now()}
	d.mu.Unlock()
	always := corev1.ContainerRestartPolicyAlways
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": d.Name}},
		Spec: corev1.PodSpec{
			NodeName: "node-1",
			InitContainers: []corev1.Container{{
				Name: "podsignal", Image: "podsignal:0.1.0", RestartPolicy: &always,
				VolumeMounts: []corev1.VolumeMount{{Name: "conf", MountPath: "/etc/nginx"}},
			}},
			Containers: []corev1.Container{{Name: "nginx"}},
			Volumes: []corev1.Volume{{Name: "conf", VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: d.Name}},
			}}},
		},
		Status: corev1.PodStatus{
			Phase:                 corev1.PodRunning,
			Conditions:            []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "podsignal", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	d.server.Put(pod)
	return pod
}

// Running is what each pod runs, by its name.
func (d *Deployment) Running() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]string)
	for name, p := range d.pods {
		all[name] = p.running
	}
	return all
}

// Wanted is what the ConfigMap has.
func (d *Deployment) Wanted() string {
	m := Get(d.server, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: d.Name}})
	return m.Data[Key]
}

// Digest is that of a volume with what the ConfigMap has.
func (d *Deployment) Digest() string { return digestOf(d.Wanted()) }

// took has the kubelet of a pod that was patched update its volumes.
func (d *Deployment) took(pod *corev1.Pod) {
	time.AfterFunc(d.Kubelet, func() {
		content := d.Wanted()
		d.mu.Lock()
		defer d.mu.Unlock()
		p := d.pods[pod.Name]
		if p == nil || d.Deaf[pod.Name] {
			return
		}
		p.approved = pod.Annotations["podsignal/approved"]
		if content != p.onDisk {
			p.onDisk, p.rejected, p.since = content, "", time.Now()
		}
		d.deliver(pod, p)
	})
}

func (d *Deployment) deliver(pod *corev1.Pod, p *podState) {
	if p.running == p.onDisk || d.holds(p) {
		return
	}
	p.outcome = "replaced"
	if d.Outcome != nil {
		p.outcome = d.Outcome(pod.Name, p.onDisk)
	}
	switch p.outcome {
	case "unseen":
	case "refused", "invalid", "died":
		p.rejected = p.onDisk
	case "unready":
		p.outcome, p.running = "replaced", p.onDisk
		unready := Get(d.server, pod)
		unready.Status.Conditions[0].Status = corev1.ConditionFalse
		d.server.Put(unready)
	default:
		p.running = p.onDisk
	}
}

// holds tells whether HOLD has no approval for what is on disk.
func (d *Deployment) holds(p *podState) bool {
	return d.Hold && p.running != p.onDisk && !slices.Contains(strings.Fields(p.approved), digestOf(p.onDisk))
}

// digestOf is that of the volume with this content.
func digestOf(content string) string {
	return volume.DigestOfConfigMap(&corev1.ConfigMap{Data: map[string]string{Key: content}})
}

// exec answers podsignal status --json and podsignal send.
func (d *Deployment) exec(e *Exec) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pods[e.Pod.Name]
	switch command := strings.Join(e.Command, " "); {
	case command == "/podsignal status --json":
		out, err := json.Marshal(d.status(p))
		if err != nil {
			panic(err)
		}
		e.Stdout.Write(out)
		if p.running != p.onDisk {
			return 1
		}
		return 0
	case strings.HasPrefix(command, "/podsignal send"):
		if d.Outcome != nil {
			if outcome := d.Outcome(e.Pod.Name, command); outcome != "replaced" {
				fmt.Fprintf(&e.Stderr, "podsignal: %s\n", outcome)
				return 1
			}
		}
		fmt.Fprintf(&e.Stdout, "ok: nginx (pid 7): %s\n", command)
		return 0
	}
	fmt.Fprintf(&e.Stderr, "no such command: %q\n", e.Command)
	return 127
}

// status is podsignal's, as its README.md describes it.
func (d *Deployment) status(p *podState) map[string]any {
	moment := func(content string) map[string]any {
		return map[string]any{"digest": digestOf(content)[:12], "since": p.since}
	}
	target := map[string]any{"pid": 7, "running": moment(p.running), "outcome": p.outcome}
	s := map[string]any{
		"process": "nginx", "file": []string{"/etc/nginx"}, "mode": "inotify", "on_disk": moment(p.onDisk),
		"paths":   []any{map[string]any{"path": "/etc/nginx", "digest": digestOf(p.onDisk)}},
		"targets": []any{target},
	}
	if p.rejected != "" {
		rejected := moment(p.rejected)
		rejected["outcome"] = p.outcome
		target["rejected"] = rejected
	}
	if d.Hold {
		s["hold"] = "/podinfo/approved"
	}
	if d.holds(p) {
		s["held_since"] = p.since
		target["held"], target["pending"] = true, "held"
	}
	return s
}
