// Package volume knows what the kubelet would have volumes show, from the objects of the API, and
// computes its digest as the CONTRACT.md of podsignal defines it under "Digest of a path".
package volume

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Wanted is what a path would show in a container if the kubelet had delivered all that the API has.
type Wanted struct {
	Digest string // in full; empty: nothing would be there

	// Unknown says why Digest cannot be told from outside; empty: it can. Same is then equal for
	// paths that show the same in every pod, whatever that is; empty: each pod has its own.
	Unknown string
	Same    string

	Secret        bool   // it shows a Secret
	Undeliverable string // why the kubelet cannot deliver it; empty: it can
	Fixed         string // why no update of it is ever seen in the pod; empty: each is
}

// Of tells what a path would show in a container of a pod, without what the patterns of EXCLUDE
// match. The error is one of reading the API.
func Of(ctx context.Context, api Getter, pod *corev1.Pod, container *corev1.Container, file string, exclude []string) (Wanted, error) {
	file = path.Clean(file)
	mount := mountOf(container, file)
	for i := range container.VolumeMounts {
		m := &container.VolumeMounts[i]
		if shows := m == mount || in(file, m.MountPath); shows && bySubPath(m) && sourceOf(&pod.Spec, m.Name) != nil {
			return Wanted{Unknown: "a subPath mount is never updated", Fixed: fixedIn(container, m.Name)}, nil
		}
	}
	if mountsBelow(container, mount, file) {
		return Wanted{Unknown: "volumes are mounted in it: name their folders in FILE"}, nil
	}
	if mount == nil {
		return Wanted{Unknown: "it is not in a volume of podsignal's container"}, nil
	}
	within := relative(mount.MountPath, file)
	source := sourceOf(&pod.Spec, mount.Name)
	if source == nil || strings.HasPrefix(within, "..") {
		return Wanted{Unknown: "it is not in a volume that the kubelet keeps up to date"}, nil
	}
	c := contents{files: make(map[string][32]byte)}
	if err := c.add(ctx, api, pod.Namespace, source); err != nil {
		return Wanted{}, err
	}
	w := Wanted{Secret: c.secret, Undeliverable: strings.Join(c.undeliverable, "; "), Fixed: fixedInOthers(&pod.Spec, container, mount.Name)}
	why, same := c.unknownIn(within)
	switch {
	case w.Undeliverable != "":
		return w, nil
	case why == "":
		w.Digest = c.digest(within, exclude)
	case same:
		key, err := json.Marshal([]any{pod.Namespace, source, within, exclude})
		if err != nil {
			return Wanted{}, err
		}
		w.Same = string(key)
	}
	w.Unknown = why
	return w, nil
}

// mountOf is the mount that shows a path; nil if it is none's.
func mountOf(container *corev1.Container, file string) (found *corev1.VolumeMount) {
	for i := range container.VolumeMounts {
		m := &container.VolumeMounts[i]
		if in(m.MountPath, file) && (found == nil || len(path.Clean(m.MountPath)) >= len(path.Clean(found.MountPath))) {
			found = m
		}
	}
	return found
}

func bySubPath(m *corev1.VolumeMount) bool { return m.SubPath != "" || m.SubPathExpr != "" }

func fixedIn(container *corev1.Container, volume string) string {
	return fmt.Sprintf("the container %s mounts the volume %s by subPath, and such mounts are never updated: mount the folder", container.Name, volume)
}

// fixedInOthers is why the program sees no update, if the other containers mount the volume by
// subPath alone.
func fixedInOthers(spec *corev1.PodSpec, own *corev1.Container, volume string) (why string) {
	for i := range spec.Containers {
		c := &spec.Containers[i]
		for k := range c.VolumeMounts {
			m := &c.VolumeMounts[k]
			switch {
			case m.Name != volume || c.Name == own.Name:
			case !bySubPath(m):
				return ""
			case why == "":
				why = fixedIn(c, volume)
			}
		}
	}
	return why
}

// mountsBelow tells whether something else is mounted below a path.
func mountsBelow(container *corev1.Container, except *corev1.VolumeMount, file string) bool {
	for i := range container.VolumeMounts {
		m := &container.VolumeMounts[i]
		if m != except && in(file, m.MountPath) {
			return true
		}
	}
	return false
}

// in tells whether a path is a folder, or below it.
func in(folder, file string) bool {
	folder, file = path.Clean(folder), path.Clean(file)
	return file == folder || strings.HasPrefix(file, strings.TrimSuffix(folder, "/")+"/")
}

// relative is a path as seen from a folder that it is in; empty: it is the folder.
func relative(folder, file string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path.Clean(file), path.Clean(folder)), "/")
}

// sourceOf is the volume's, if the kubelet keeps such up to date from objects of the API.
func sourceOf(spec *corev1.PodSpec, name string) *corev1.VolumeSource {
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.Name == name && (v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil) {
			return &v.VolumeSource
		}
	}
	return nil
}

// ref names an object of the API for a message.
func ref(kind, namespace, name string) string {
	return fmt.Sprintf("%s %s/%s", kind, namespace, name)
}
