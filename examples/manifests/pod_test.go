package manifests_test

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// users are the uids that images run their first process as, where a manifest does
// not say.
var users = map[string]int64{
	"nginx":     0,
	"podsignal": 65532,
}

// podOf returns the pod in an object that has one, as a template.
func podOf(object runtime.Object) (name string, pod corev1.PodTemplateSpec, ok bool) {
	named := func(kind string, meta metav1.ObjectMeta) string { return kind + "/" + meta.Name }
	switch o := object.(type) {
	case *appsv1.Deployment:
		return named("Deployment", o.ObjectMeta), o.Spec.Template, true
	case *appsv1.StatefulSet:
		return named("StatefulSet", o.ObjectMeta), o.Spec.Template, true
	case *appsv1.DaemonSet:
		return named("DaemonSet", o.ObjectMeta), o.Spec.Template, true
	case *appsv1.ReplicaSet:
		return named("ReplicaSet", o.ObjectMeta), o.Spec.Template, true
	case *batchv1.Job:
		return named("Job", o.ObjectMeta), o.Spec.Template, true
	case *batchv1.CronJob:
		return named("CronJob", o.ObjectMeta), o.Spec.JobTemplate.Spec.Template, true
	case *corev1.Pod:
		return named("Pod", o.ObjectMeta), corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, true
	}
	return "", corev1.PodTemplateSpec{}, false
}

// containers yields all containers of a pod.
func containers(pod corev1.PodSpec) iter.Seq[corev1.Container] {
	return slices.Values(slices.Concat(pod.InitContainers, pod.Containers))
}

// podsignals yields those that run podsignal.
func podsignals(pod corev1.PodTemplateSpec) iter.Seq[corev1.Container] {
	return func(yield func(corev1.Container) bool) {
		for c := range containers(pod.Spec) {
			installs := len(c.Args) > 0 && c.Args[0] == "install"
			if (nameOf(c.Image) == "podsignal" && !installs || validates(c)) && !yield(c) {
				return
			}
		}
	}
}

// validates tells whether podsignal runs there in the program's image.
func validates(c corev1.Container) bool {
	return len(c.Command) > 0 && c.Command[0] == "/podsignal-bin/podsignal"
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
			return strings.ReplaceAll(env.Value, "$$", "$")
		}
		for key, value := range pod.Annotations {
			if env.ValueFrom.FieldRef.FieldPath == "metadata.annotations['"+key+"']" {
				return value
			}
		}
	}
	return ""
}

// A rule is what podsignal's variables say of it: those with its prefix, and in place of
// each that is not set, the one without. Without FILE the files are what podsignal finds.
type rule struct {
	prefix               string // empty without RULES
	files                []string
	process, signal, url string
}

func rulesOf(pod corev1.PodTemplateSpec, podsignal corev1.Container) []rule {
	prefixes := []string{""}
	if names := setting(pod, podsignal, "RULES"); names != "" {
		prefixes = nil
		for name := range strings.SplitSeq(names, ",") {
			prefixes = append(prefixes, strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(name), "-", "_"))+"_")
		}
	}
	var rules []rule
	for _, prefix := range prefixes {
		own := func(name string) string { return setting(pod, podsignal, prefix+name) }
		either := func(name string) string { return cmp.Or(own(name), setting(pod, podsignal, name)) }
		r := rule{prefix, foundBy(pod, podsignal), either("PROCESS"), either("SIGNAL"), either("RELOAD_URL")}
		if file := either("FILE"); file != "" {
			r.files = strings.Split(file, ",")
		}
		// What is its own counts more than the other way to reload.
		switch signal, url := own("SIGNAL"), own("RELOAD_URL"); {
		case signal != "" && url == "":
			r.url = ""
		case signal == "" && url != "":
			r.signal = ""
		}
		rules = append(rules, r)
	}
	return rules
}

// foundBy returns where podsignal mounts what the kubelet keeps up to date.
func foundBy(pod corev1.PodTemplateSpec, podsignal corev1.Container) (paths []string) {
	for _, m := range podsignal.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if i < 0 || m.SubPath != "" || m.SubPathExpr != "" {
			continue
		}
		if v := pod.Spec.Volumes[i]; v.ConfigMap != nil || v.Secret != nil || v.Projected != nil {
			paths = append(paths, m.MountPath)
		}
	}
	return paths
}

// mayKill tells whether a container may signal a program of any uid.
func mayKill(pod corev1.PodTemplateSpec, c corev1.Container) bool {
	uid, known := userOf(pod, c)
	s := c.SecurityContext
	return known && uid == 0 && s != nil && s.Capabilities != nil && slices.Contains(s.Capabilities.Add, "KILL")
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
