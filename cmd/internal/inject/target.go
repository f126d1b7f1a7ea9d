package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A mount is one of a volume.
type mount struct{ volume, path string }

// findTarget returns the container whose program is to be signalled, and its mounts of
// the volumes that are to be watched.
func findTarget(spec *yaml.Node, want settings) (*yaml.Node, []mount, error) {
	var volumes []string
	for _, v := range items(spec, "volumes") {
		if volume := text(v, "name"); len(want.volumes) > 0 || isFound(v) {
			volumes = append(volumes, volume)
		}
	}
	for _, volume := range want.volumes {
		if !slices.Contains(volumes, volume) {
			return nil, nil, fmt.Errorf("%s=%q: the pod has no volume of that name, but %s", want.volumesBy, volume, names(volumes, "and"))
		}
	}
	if len(want.volumes) > 0 {
		volumes = want.volumes
	}

	var candidates, others []string
	var target *yaml.Node
	for _, c := range longRunning(spec) {
		if !slices.ContainsFunc(items(c, "volumeMounts"), func(m *yaml.Node) bool { return slices.Contains(volumes, text(m, "name")) }) {
			others = append(others, text(c, "name"))
			continue
		}
		candidates = append(candidates, text(c, "name"))
		if want.container == "" || text(c, "name") == want.container {
			target = c
		}
	}
	switch {
	case len(candidates) == 0 && len(want.volumes) > 0:
		return nil, nil, fmt.Errorf("%s=%q: no container mounts it: mount it in the program's container, as a folder", want.volumesBy, strings.Join(volumes, ","))
	case len(candidates) == 0:
		return nil, nil, errNoVolume{errors.New("no container mounts a ConfigMap, Secret or projected volume: mount one in the program's container, or name another volume, such as one of CSI, by --volume")}
	case target == nil && slices.Contains(others, want.container):
		return nil, nil, fmt.Errorf("%s=%q mounts none of the volumes %s: use %s", want.containerBy, want.container, names(volumes, "and"), names(candidates, "or"))
	case target == nil:
		return nil, nil, fmt.Errorf("%s=%q is not a container of this pod that mounts the volumes: use %s", want.containerBy, want.container, names(candidates, "or"))
	case want.container == "" && len(candidates) > 1:
		return nil, nil, fmt.Errorf("several containers mount the volumes %s: set --container, or the annotation podsignal/container, to the one whose program is to be notified, %s", names(volumes, "and"), names(candidates, "or"))
	}
	mounts, err := mountsOf(target, volumes, want)
	return target, mounts, err
}

// longRunning returns the containers that go on running, without those of podsignal.
func longRunning(spec *yaml.Node) []*yaml.Node {
	all := items(spec, "containers")
	for _, c := range items(spec, "initContainers") {
		if text(c, "restartPolicy") == "Always" {
			all = append(all, c)
		}
	}
	return slices.DeleteFunc(all, func(c *yaml.Node) bool { return text(c, "name") == name || text(c, "name") == installer })
}

// mountsOf returns the mounts in a container of any of the volumes.
func mountsOf(target *yaml.Node, volumes []string, want settings) ([]mount, error) {
	var mounts []mount
	mounted := make(map[string]bool)
	for _, m := range items(target, "volumeMounts") {
		volume, path := text(m, "name"), text(m, "mountPath")
		if !slices.Contains(volumes, volume) {
			continue
		}
		switch {
		case text(m, "subPath") != "" || text(m, "subPathExpr") != "":
			return nil, fmt.Errorf("container %s mounts the volume %s at %s by subPath, and subPath mounts never receive updates: mount the folder, or name other volumes by --volume",
				text(target, "name"), volume, path)
		case path == "" || strings.Contains(path, ",") || strings.TrimSpace(path) != path:
			return nil, fmt.Errorf("container %s mounts the volume %s at %q, which cannot be in podsignal's FILE: use a path without commas and spaces around it",
				text(target, "name"), volume, path)
		}
		mounts = append(mounts, mount{volume, path})
		mounted[volume] = true
	}
	for _, volume := range want.volumes {
		if !mounted[volume] {
			return nil, fmt.Errorf("%s=%q: container %s does not mount it: mount it there, as a folder", want.volumesBy, volume, text(target, "name"))
		}
	}
	return mounts, nil
}

// isFound tells whether podsignal finds a volume by itself, where it is mounted: the kubelet keeps
// it up to date, and a program is meant to read it. The token that Kubernetes itself mounts
// (kube-api-access-…) is none: programs read it at each use. Those of CSI are updated by their
// drivers.
func isFound(volume *yaml.Node) bool {
	if lookup(volume, "configMap") != nil || lookup(volume, "secret") != nil {
		return true
	}
	for _, s := range items(volume, "projected", "sources") {
		switch {
		case lookup(s, "serviceAccountToken") != nil, lookup(s, "downwardAPI") != nil:
		case text(s, "configMap", "name") == "kube-root-ca.crt":
		default:
			return true
		}
	}
	return false
}

// watch has FILE set where podsignal would not find the volumes by itself: some are of another
// sort, or it mounts more than these. A FILE that is given, or that is there, stays.
func (s *settings) watch(spec, old *yaml.Node, mounts []mount) {
	if s.get("FILE").value != "" || !s.decides("FILE") && isSet(itemOf(old, "env", "FILE")) {
		return
	}
	var paths []string
	found := !s.validates() || len(s.volumes) == 0
	for _, m := range mounts {
		found = found && isFound(itemOf(spec, "volumes", m.volume))
		paths = append(paths, m.path)
	}
	if !found {
		s.set(variable{name: "FILE", value: strings.Join(paths, ",")})
	}
}

// names lists names for an error.
func names(all []string, and string) string {
	if len(all) == 0 {
		return "none"
	}
	last := len(all) - 1
	if last == 0 {
		return all[0]
	}
	return strings.Join(all[:last], ", ") + " " + and + " " + all[last]
}
