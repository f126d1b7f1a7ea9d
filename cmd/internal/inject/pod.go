package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// name is that of podsignal's container.
const name = "podsignal"

// inject changes the pod of the workload, and returns what it assumed.
func (w workload) inject(want settings) (remarks []string, err error) {
	if w.object.Kind == yaml.AliasNode || w.shared[w.object] {
		return nil, errors.New("the object is shared by an anchor: write it out")
	}
	spec := w.object
	for _, key := range append(slices.Clone(w.pod), "spec") {
		if spec, err = w.own(spec, yaml.MappingNode, key); err != nil {
			return nil, err
		}
		if spec == nil {
			return nil, fmt.Errorf("it has no pod: %s is missing", strings.Join(append(slices.Clone(w.pod), "spec"), "."))
		}
	}
	if isTrue(spec, "hostPID") {
		return nil, errors.New("hostPID is true: podsignal would see the processes of the whole node; remove hostPID")
	}
	target, mounts, err := findTarget(spec, want)
	if err != nil {
		return nil, err
	}
	old, err := w.findOwn(spec, name)
	if err != nil {
		return nil, err
	}
	want.asKnown(old)
	if want.validate == "" && old != nil && validating(old) {
		if remarks, err = w.leaveImage(spec, target, old, want); err != nil {
			return nil, err
		}
	}
	var security []field
	if want.validate == "" { // else it is the program's
		said := ""
		if security, said, err = securityOf(spec, target, old); err != nil {
			return nil, err
		}
		if said != "" {
			remarks = append(remarks, said)
		}
	}
	remarks = append(remarks, want.remarks...)

	share, err := w.own(spec, yaml.ScalarNode, "shareProcessNamespace")
	if err != nil {
		return nil, err
	}
	if share != nil && !isTrue(spec, "shareProcessNamespace") {
		remarks = append(remarks, "shareProcessNamespace was "+share.Value+", and is now true: podsignal has to see the program's processes")
		share = nil
	}
	if share == nil {
		setBefore(spec, []string{"initContainers", "containers"}, "shareProcessNamespace", boolean(true))
	}

	if want.validate != "" {
		said, err := w.injectValidating(spec, target, old, want, mounts)
		return append(remarks, said...), err
	}
	if old != nil {
		said, err := w.update(old, want, mounts, security)
		return append(remarks, said...), err
	}
	return remarks, w.addInit(spec, sidecar(want, mounts, security))
}

// addInit adds an init container as the last one: what prepares the pod comes first, as before.
func (w workload) addInit(spec, container *yaml.Node) error {
	inits, err := w.own(spec, yaml.SequenceNode, "initContainers")
	switch {
	case err != nil:
		return err
	case inits == nil:
		setBefore(spec, []string{"containers"}, "initContainers", list(container))
	default:
		inits.Content = append(inits.Content, container)
	}
	return nil
}

// findOwn returns the container of that name, to be changed, or nil.
func (w workload) findOwn(spec *yaml.Node, name string) (*yaml.Node, error) {
	for _, key := range []string{"initContainers", "containers"} {
		c := itemOf(spec, key, name)
		if c == nil {
			continue
		}
		containers, err := w.own(spec, yaml.SequenceNode, key)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(containers.Content, c) || w.shared[c] {
			return nil, fmt.Errorf("line %d: the container %s is shared by an anchor: write it out", c.Line, name)
		}
		return c, nil
	}
	return nil, nil
}

// A mount is one of a volume.
type mount struct{ volume, path string }

// findTarget returns the container whose program is to be signalled, and its mounts of
// the volumes that are to be watched.
func findTarget(spec *yaml.Node, want settings) (*yaml.Node, []mount, error) {
	var volumes []string
	for _, v := range items(spec, "volumes") {
		if volume := text(v, "name"); len(want.volumes) > 0 || canChange(v) {
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
		return nil, nil, errors.New("no container mounts a ConfigMap, Secret, projected or CSI volume: mount one in the program's container, or name another volume by --volume")
	case target == nil && slices.Contains(others, want.container):
		return nil, nil, fmt.Errorf("--container=%q mounts none of the volumes %s: use %s", want.container, names(volumes, "and"), names(candidates, "or"))
	case target == nil:
		return nil, nil, fmt.Errorf("--container=%q is not a container of this pod that mounts the volumes: use %s", want.container, names(candidates, "or"))
	case want.container == "" && len(candidates) > 1:
		return nil, nil, fmt.Errorf("several containers mount the volumes %s: set --container to the one whose program is to be signalled, %s", names(volumes, "and"), names(candidates, "or"))
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

// canChange tells whether the kubelet or a CSI driver may bring new content into a
// volume that a program is meant to read. The token that Kubernetes itself mounts
// (kube-api-access-…) is none: programs read it at each use.
func canChange(volume *yaml.Node) bool {
	for _, source := range []string{"configMap", "secret", "csi"} {
		if lookup(volume, source) != nil {
			return true
		}
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
