// Package sidecar finds podsignal in a pod, runs its commands there, and reads its status.
package sidecar

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// name is that of podsignal's program, and of its container unless somebody has chosen another.
const name = "podsignal"

// A Sidecar is podsignal's container, as the pod's spec has it.
type Sidecar struct {
	Container *corev1.Container
	Binary    string // path of podsignal in it
}

// Find returns podsignal's container in a pod; nil if it has none: the one of that name, or else one
// that runs podsignal's binary or image. A container that ends, such as one that runs podsignal
// install, is none.
func Find(spec *corev1.PodSpec) *Sidecar {
	var all []*corev1.Container
	for i := range spec.InitContainers {
		if c := &spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	for i := range spec.Containers {
		all = append(all, &spec.Containers[i])
	}
	for _, is := range []func(*corev1.Container) bool{
		func(c *corev1.Container) bool { return c.Name == name },
		func(c *corev1.Container) bool { return len(c.Command) > 0 && path.Base(c.Command[0]) == name },
		func(c *corev1.Container) bool { return len(c.Command) == 0 && imageName(c.Image) == name },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			s := &Sidecar{all[i], "/" + name} // as podsignal's image has it
			if command := all[i].Command; len(command) > 0 {
				s.Binary = command[0]
			}
			return s
		}
	}
	return nil
}

// imageName is the last part of an image's name, without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	base, _, _ := strings.Cut(path.Base(image), ":")
	return base
}
