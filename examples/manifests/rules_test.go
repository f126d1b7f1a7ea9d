package manifests_test

import (
	"fmt"
	"iter"
	"net"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// users are the uids that images run their first process as, where a manifest does
// not say.
var users = map[string]int64{
	"nginx":     0,
	"podsignal": 65532,
}

// exceptions are the faults that an example has for a reason. One that it has no
// longer fails the test.
var exceptions = []exception{
	{"nginx/kubernetes.yaml", "restricted: runAsNonRoot != true", "nginx's master runs as root, and so has podsignal to"},
	{"nginx/kubernetes.yaml", "restricted: runAsUser=0", "the same"},
	{"nginx/kubernetes.yaml", "restricted: unrestricted capabilities", "it gives its workers another uid"},
}

type exception struct {
	file  string // below examples
	fault string // what it begins with
	why   string
}

// standards decides on the levels of the Pod Security Standards, as the API server does.
var standards = func() policy.Evaluator {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(err)
	}
	return evaluator
}()

// faults returns what is wrong with a pod, each as `rule: what, and the mend`.
func faults(pod corev1.PodTemplateSpec) []string {
	var found faultList
	if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
		found.add("token: set automountServiceAccountToken: false, nothing here asks the API server")
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range standards.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			found.add("restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	for c := range containers(pod.Spec) {
		if !pinned(c.Image) {
			found.add("image: %s of container %s has no tag but perhaps latest", c.Image, c.Name)
		}
		// No limit of CPU: it would only slow a reload, and nothing here spins.
		r := c.Resources
		if r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
			found.add("resources: container %s needs requests of cpu and memory, and a limit of memory", c.Name)
		}
		for name, probe := range probes(c) {
			if _, ok := portOf(c, probe); !ok {
				found.add("probe: container %s has no port as its %s names", c.Name, name)
			}
		}
	}
	for c := range podsignals(pod) {
		found = append(found, sidecarFaults(pod, c)...)
	}
	return found
}

// sidecarFaults returns what keeps podsignal, a container of the pod, from its work.
func sidecarFaults(pod corev1.PodTemplateSpec, podsignal corev1.Container) []string {
	var found faultList
	isPodsignal := func(c corev1.Container) bool { return c.Name == podsignal.Name }
	if !slices.ContainsFunc(pod.Spec.InitContainers, isPodsignal) ||
		podsignal.RestartPolicy == nil || *podsignal.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		found.add("sidecar: podsignal belongs into initContainers, with restartPolicy: Always")
	}
	if share := pod.Spec.ShareProcessNamespace; share == nil || !*share {
		found.add("processes: set shareProcessNamespace: true, or podsignal sees no other")
	}

	for file := range strings.SplitSeq(setting(pod, podsignal, "FILE"), ",") {
		mounted := func(m corev1.VolumeMount) bool { return within(file, m.MountPath) }
		if !slices.ContainsFunc(podsignal.VolumeMounts, mounted) {
			found.add("FILE: podsignal mounts no volume at %q", file)
		}
	}
	if process := setting(pod, podsignal, "PROCESS"); process == "" || strings.Contains(process, "/") {
		found.add("PROCESS: %q is no name of a process", process)
	}
	switch sig := setting(pod, podsignal, "SIGNAL"); {
	case sig == "": // HUP
	case unix.SignalNum("SIG"+sig) == 0, sig == "KILL", sig == "STOP":
		found.add("SIGNAL: %q is none to reload on: write it as kill -l prints it", sig)
	}

	for _, mount := range podsignal.VolumeMounts {
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			found.add("subPath: podsignal's mount of %s never shows an update", mount.Name)
		}
		if !mount.ReadOnly {
			found.add("read-only: podsignal only reads %s", mount.Name)
		}
		targets := 0
		for _, c := range pod.Spec.Containers {
			i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == mount.Name })
			if i < 0 || isPodsignal(c) {
				continue
			}
			targets++
			if c.VolumeMounts[i].SubPath != "" || c.VolumeMounts[i].SubPathExpr != "" {
				found.add("subPath: the mount of %s in container %s never shows an update", mount.Name, c.Name)
			}
			ours, known := userOf(pod, podsignal)
			theirs, alsoKnown := userOf(pod, c)
			if !known || !alsoKnown {
				found.add("uid: that of container %s is not known: set runAsUser, or add its image to users", c.Name)
			} else if ours != theirs {
				found.add("uid: podsignal runs as %d, container %s as %d", ours, c.Name, theirs)
			}
		}
		if targets == 0 {
			found.add("volume: no other container mounts %s", mount.Name)
		}
	}
	return append(found, listenFaults(podsignal, setting(pod, podsignal, "LISTEN"))...)
}

// listenFaults compares the ports and probes of podsignal with its LISTEN.
func listenFaults(podsignal corev1.Container, listen string) []string {
	var found faultList
	host, port, _ := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); host != "" && !ip.IsUnspecified() {
		found.add("LISTEN: the kubelet cannot reach %s", listen)
	}
	declared := func(p corev1.ContainerPort) bool { return fmt.Sprint(p.ContainerPort) == port }
	if listen != "" && !slices.ContainsFunc(podsignal.Ports, declared) {
		found.add("LISTEN: containerPort %s is missing", port)
	}
	for _, p := range podsignal.Ports {
		// The name is the one that the PodMonitor in monitoring looks for.
		if !declared(p) || p.Name != "podsignal" {
			found.add("LISTEN: port %s %d is not podsignal %s", p.Name, p.ContainerPort, port)
		}
	}
	for name, probe := range probes(podsignal) {
		if number, _ := portOf(podsignal, probe); fmt.Sprint(number) != port {
			found.add("LISTEN: %s asks port %d, podsignal listens at %q", name, number, listen)
		}
		pages := []string{"/healthz"}
		if name == "readinessProbe" {
			pages = append(pages, "/readyz")
		}
		if probe.HTTPGet == nil || !slices.Contains(pages, probe.HTTPGet.Path) {
			found.add("LISTEN: %s does not get %s", name, strings.Join(pages, " or "))
		}
	}
	return found
}

type faultList []string

func (l *faultList) add(format string, args ...any) {
	*l = append(*l, fmt.Sprintf(format, args...))
}

// containers yields all containers of a pod.
func containers(pod corev1.PodSpec) iter.Seq[corev1.Container] {
	return slices.Values(slices.Concat(pod.InitContainers, pod.Containers))
}

// podsignals yields those that run podsignal.
func podsignals(pod corev1.PodTemplateSpec) iter.Seq[corev1.Container] {
	return func(yield func(corev1.Container) bool) {
		for c := range containers(pod.Spec) {
			if nameOf(c.Image) == "podsignal" && !yield(c) {
				return
			}
		}
	}
}

// probes yields the probes of a container by their names in YAML.
func probes(c corev1.Container) iter.Seq2[string, *corev1.Probe] {
	return func(yield func(string, *corev1.Probe) bool) {
		_ = (c.LivenessProbe == nil || yield("livenessProbe", c.LivenessProbe)) &&
			(c.ReadinessProbe == nil || yield("readinessProbe", c.ReadinessProbe)) &&
			(c.StartupProbe == nil || yield("startupProbe", c.StartupProbe))
	}
}

// portOf returns the number of the port that a probe asks, 0 for one that runs a
// program, and whether it can be told.
func portOf(c corev1.Container, probe *corev1.Probe) (int32, bool) {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port
	case probe.GRPC != nil:
		return probe.GRPC.Port, true
	}
	if port.Type == intstr.Int {
		return port.IntVal, true
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return p.ContainerPort, true
		}
	}
	return 0, false
}

// setting returns a variable of the environment, as the kubelet would fill it in.
func setting(pod corev1.PodTemplateSpec, c corev1.Container, name string) string {
	for _, env := range c.Env {
		if env.Name != name {
			continue
		}
		if env.ValueFrom == nil || env.ValueFrom.FieldRef == nil {
			return env.Value
		}
		for key, value := range pod.Annotations {
			if env.ValueFrom.FieldRef.FieldPath == "metadata.annotations['"+key+"']" {
				return value
			}
		}
	}
	return ""
}

// userOf returns the uid of a container's first process, and whether it is known.
func userOf(pod corev1.PodTemplateSpec, c corev1.Container) (int64, bool) {
	if s := c.SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser, true
	}
	if s := pod.Spec.SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser, true
	}
	uid, ok := users[nameOf(c.Image)]
	return uid, ok
}

// nameOf returns nginx for registry.example:5000/library/nginx:1.28.
func nameOf(image string) string {
	name, _, _ := strings.Cut(path.Base(image), ":")
	name, _, _ = strings.Cut(name, "@")
	return name
}

// pinned tells whether an image has a tag other than latest, or a digest.
func pinned(image string) bool {
	_, tag, _ := strings.Cut(path.Base(image), ":")
	return tag != "" && tag != "latest"
}

// within tells whether a file is in a folder, or is that folder.
func within(file, folder string) bool {
	file = strings.TrimSpace(file)
	return file == folder || strings.HasPrefix(file, strings.TrimSuffix(folder, "/")+"/")
}
