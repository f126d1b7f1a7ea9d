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

// inject changes the pod of the workload, and returns what it assumed. After an error it has not
// changed what is to be printed.
func (w workload) inject(want settings) (remarks []string, err error) {
	spec, err := w.ownSpec()
	if err != nil {
		return nil, err
	}
	if text(spec, "os", "name") == "windows" {
		return nil, unchanged{errors.New("it is for Windows, which has no signals")}
	}
	old, err := w.findOwn(spec, name)
	if err != nil {
		return nil, err
	}
	sees := want.needsProcesses(old)
	if sees && isTrue(spec, "hostPID") {
		return nil, errors.New("hostPID is true: podsignal would see the processes of the whole node; remove hostPID")
	}
	target, mounts, err := findTarget(spec, want)
	if err != nil {
		return nil, err
	}
	leaves := want.get("VALIDATE").value == "" && old != nil && validating(old)
	if err := want.fitTo(old); err != nil {
		return nil, err
	}
	want.asKnown(old)
	want.watch(spec, old, mounts)

	var security []field
	if want.get("VALIDATE").value == "" { // else it is the program's
		own := old
		if leaves {
			own = nil // it is the program's too
		}
		said := ""
		if security, said, err = securityOf(spec, target, own, want, sees); err != nil {
			return nil, err
		}
		if said != "" {
			remarks = append(remarks, said)
		}
	}
	size := sizeOf(spec)
	if size.remark != "" && old == nil {
		remarks = append(remarks, size.remark)
	}
	if leaves {
		said, err := w.leaveImage(spec, target, old, want, size)
		if err != nil {
			return nil, err
		}
		remarks = append(remarks, said...)
	}
	remarks = append(remarks, want.remarks...)
	if sees {
		said, err := w.shareProcesses(spec)
		if err != nil {
			return nil, err
		}
		remarks = append(remarks, said...)
	}

	if want.get("VALIDATE").value != "" {
		said, err := w.injectValidating(spec, target, old, want, mounts, size)
		return append(remarks, said...), err
	}
	if old != nil {
		said, err := w.update(spec, old, want, mounts, security)
		return append(remarks, said...), err
	}
	return remarks, w.addInit(spec, sidecar(want, mounts, security, size))
}

// ownSpec returns the pod's spec, to be changed.
func (w workload) ownSpec() (spec *yaml.Node, err error) {
	if w.object.Kind == yaml.AliasNode || w.shared[w.object] {
		return nil, errors.New("the object is shared by an anchor: write it out")
	}
	spec = w.object
	for _, key := range append(slices.Clone(w.pod), "spec") {
		if spec, err = w.own(spec, yaml.MappingNode, key); err != nil {
			return nil, err
		}
		if spec == nil {
			return nil, fmt.Errorf("it has no pod: %s is missing", strings.Join(append(slices.Clone(w.pod), "spec"), "."))
		}
	}
	return spec, nil
}

// shareProcesses has the containers see each other's processes. What that changes for them is
// said.
func (w workload) shareProcesses(spec *yaml.Node) (remarks []string, err error) {
	share, err := w.own(spec, yaml.ScalarNode, "shareProcessNamespace")
	switch {
	case err != nil:
		return nil, err
	case share != nil && isTrue(spec, "shareProcessNamespace"):
		return nil, nil
	case share != nil:
		remarks = append(remarks, "shareProcessNamespace was "+share.Value+", and is now true: podsignal has to see the program's processes")
	}
	setBefore(spec, []string{"initContainers", "containers"}, "shareProcessNamespace", boolean(true))
	return append(remarks, firstProcesses(spec)...), nil
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
