package manifests_test

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// exceptions are the faults that an example has for a reason. One that it has no
// longer fails the test.
var exceptions = []exception{
	{"fleet/job.yaml", "token: ", "the plugin asks the API server"},
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

// faults returns what is wrong with a pod, each as `rule: what, and the fix`.
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
	rules := rulesOf(pod, podsignal)
	sees := func(r rule) bool { return r.url == "" || r.process != "" }
	if share := pod.Spec.ShareProcessNamespace; slices.ContainsFunc(rules, sees) && (share == nil || !*share) {
		found.add("processes: set shareProcessNamespace: true, or podsignal sees no other")
	}
	for _, r := range rules {
		found = append(found, r.faults(pod, podsignal)...)
	}

	hold := setting(pod, podsignal, "HOLD")
	approvals := func(m corev1.VolumeMount) bool { return hold != "" && within(hold, m.MountPath) }
	if hold != "" && !slices.ContainsFunc(podsignal.VolumeMounts, approvals) {
		found.add("HOLD: podsignal mounts no volume at %s", hold)
	}
	for _, mount := range podsignal.VolumeMounts {
		if approvals(mount) {
			found = append(found, holdFaults(pod, podsignal, mount, hold)...)
		} else {
			found = append(found, mountFaults(pod, podsignal, mount)...)
		}
	}
	return append(found, listenFaults(podsignal, setting(pod, podsignal, "LISTEN"))...)
}

// faults returns what is wrong with the variables of a rule.
func (r rule) faults(pod corev1.PodTemplateSpec, podsignal corev1.Container) []string {
	var found faultList
	for _, file := range r.files {
		mounted := func(m corev1.VolumeMount) bool { return within(file, m.MountPath) }
		if !slices.ContainsFunc(podsignal.VolumeMounts, mounted) {
			found.add("%sFILE: podsignal mounts no volume at %q", r.prefix, file)
		}
	}
	if len(r.files) == 0 {
		found.add("%sFILE: it is not set, and podsignal mounts no ConfigMap, Secret or projected volume", r.prefix)
	}
	if r.process == "" && r.url == "" || strings.Contains(r.process, "/") {
		found.add("%sPROCESS: %q is no name of a process", r.prefix, r.process)
	}
	switch {
	case r.signal == "": // HUP
	case r.url != "":
		found.add("%sSIGNAL: RELOAD_URL is set, so none is sent", r.prefix)
	case unix.SignalNum("SIG"+r.signal) == 0, r.signal == "KILL", r.signal == "STOP":
		found.add("%sSIGNAL: %q is none to reload on: write it as kill -l prints it", r.prefix, r.signal)
	}
	if r.url != "" && !servesIn(pod.Spec, podsignal, r.url) {
		found.add("%sRELOAD_URL: %s is at no port of another container of the pod", r.prefix, r.url)
	}
	return found
}

// servesIn tells whether a URL leads to a port that a container of the pod has declared,
// other than podsignal's. All of them are at localhost.
func servesIn(pod corev1.PodSpec, podsignal corev1.Container, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && !ip.IsLoopback() {
		return false
	}
	for c := range containers(pod) {
		if c.Name != podsignal.Name && slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return fmt.Sprint(p.ContainerPort) == u.Port() }) {
			return true
		}
	}
	return false
}

// mountFaults compares a mount of podsignal with the volume, and with the mounts of it
// in the containers whose programs are to be signalled.
func mountFaults(pod corev1.PodTemplateSpec, podsignal corev1.Container, mount corev1.VolumeMount) []string {
	var found faultList
	if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
		found.add("volume: the pod has none named %s", mount.Name)
	}
	holds := func(file string) bool { return within(file, mount.MountPath) }
	watched := slices.ContainsFunc(rulesOf(pod, podsignal), func(r rule) bool { return slices.ContainsFunc(r.files, holds) })
	if validates(podsignal) && !watched {
		return found // the validator needs what the program has
	}
	if mount.SubPath != "" || mount.SubPathExpr != "" {
		found.add("subPath: podsignal's mount of %s never shows an update", mount.Name)
	}
	if !mount.ReadOnly {
		found.add("read-only: podsignal only reads %s", mount.Name)
	}
	signals := func(r rule) bool { return r.url == "" && slices.ContainsFunc(r.files, holds) }
	ours, _ := userOf(pod, podsignal) // known: users has its image
	targets := 0
	for _, c := range pod.Spec.Containers {
		i := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == mount.Name })
		if i < 0 || c.Name == podsignal.Name {
			continue
		}
		targets++
		if c.VolumeMounts[i].SubPath != "" || c.VolumeMounts[i].SubPathExpr != "" {
			found.add("subPath: the mount of %s in container %s never shows an update", mount.Name, c.Name)
		}
		if !slices.ContainsFunc(rulesOf(pod, podsignal), signals) || mayKill(pod, podsignal) {
			continue // no signal is sent, or it reaches any uid
		}
		sameImage := c.Image == podsignal.Image && reflect.DeepEqual(c.SecurityContext, podsignal.SecurityContext)
		if theirs, known := userOf(pod, c); sameImage {
			continue
		} else if !known {
			found.add("uid: that of container %s is not known: set runAsUser, or add its image to users", c.Name)
		} else if ours != theirs {
			found.add("uid: podsignal runs as %d, container %s as %d", ours, c.Name, theirs)
		}
	}
	if targets == 0 {
		found.add("volume: no other container mounts %s", mount.Name)
	}
	return found
}

// holdFaults compares HOLD with the mount that it is in: of the pod's annotation podsignal/approved,
// for podsignal alone.
func holdFaults(pod corev1.PodTemplateSpec, podsignal corev1.Container, mount corev1.VolumeMount, hold string) []string {
	var found faultList
	if !mount.ReadOnly {
		found.add("read-only: podsignal only reads %s", mount.Name)
	}
	if mount.SubPath != "" || mount.SubPathExpr != "" {
		found.add("subPath: podsignal's mount of %s never shows an update", mount.Name)
	}
	for c := range containers(pod.Spec) {
		if c.Name != podsignal.Name && slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == mount.Name }) {
			found.add("HOLD: container %s mounts %s too", c.Name, mount.Name)
		}
	}
	isFile := func(item corev1.DownwardAPIVolumeFile) bool {
		return path.Join(mount.MountPath, item.Path) == hold && item.FieldRef != nil && item.FieldRef.FieldPath == "metadata.annotations['podsignal/approved']"
	}
	if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Name == mount.Name && v.DownwardAPI != nil && slices.ContainsFunc(v.DownwardAPI.Items, isFile)
	}) {
		found.add("HOLD: %s is not the annotation podsignal/approved in volume %s", hold, mount.Name)
	}
	return found
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
