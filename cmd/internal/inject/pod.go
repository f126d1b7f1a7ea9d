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

// A plan is what is known of a pod before it is changed.
type plan struct {
	spec     *yaml.Node
	target   *yaml.Node // the program's container
	old      *yaml.Node // the podsignal that is there, or nil
	mounts   []mount    // that are watched
	security []field
	size     size
	sees     bool // podsignal is to see the program's processes
}

// plan has what is wanted fit the pod, which stays as it is. It returns what it assumed.
func (w workload) plan(want *settings) (p plan, remarks []string, err error) {
	if p.spec, err = w.ownSpec(); err != nil {
		return p, nil, err
	}
	if text(p.spec, "os", "name") == "windows" || text(p.spec, "nodeSelector", "kubernetes.io/os") == "windows" {
		return p, nil, unchanged{errors.New("it is for Windows, which has no signals")}
	}
	if p.old, err = w.findOwn(p.spec, name); err != nil {
		return p, nil, err
	}
	p.sees = want.needsProcesses(p.old)
	if p.sees && isTrue(p.spec, "hostPID") {
		return p, nil, errors.New("hostPID is true: podsignal would see the processes of the whole node; remove hostPID")
	}
	if p.target, p.mounts, err = findTarget(p.spec, *want); err != nil {
		return p, nil, err
	}
	if err = errors.Join(want.fitTo(p.old), portTaken(p.spec, *want)); err != nil {
		return p, nil, err
	}
	remarks = want.endHold(p.old)
	want.asKnown(p.old)
	want.watch(p.spec, p.old, p.mounts)
	if !want.validates() { // else it is the program's
		said := ""
		if p.security, said, err = securityOf(p, *want); err != nil {
			return p, nil, err
		}
		if said != "" {
			remarks = append(remarks, said)
		}
	}
	p.size = sizeOf(p.spec)
	if p.size.remark != "" && p.old == nil {
		remarks = append(remarks, p.size.remark)
	}
	return p, remarks, nil
}

// inject changes the pod of the workload, and returns what it assumed. Where that is unchanged, or
// errNoVolume, it has not changed anything.
func (w workload) inject(want settings) (remarks []string, err error) {
	p, remarks, err := w.plan(&want)
	if err != nil {
		return nil, err
	}
	steps := []func() ([]string, error){
		func() ([]string, error) { return want.remarks, nil },
		func() ([]string, error) { return w.shareProcesses(p) },
	}
	if !want.validates() && validating(p.old) {
		steps = slices.Insert(steps, 0, func() ([]string, error) { return w.leaveImage(p, want) })
	}
	switch {
	case want.validates():
		steps = append(steps, func() ([]string, error) { return w.injectValidating(p, want) })
	case p.old != nil:
		steps = append(steps, func() ([]string, error) { return w.update(p, want) })
	default:
		steps = append(steps, func() ([]string, error) { return nil, w.addInit(p.spec, sidecar(p, want)) })
	}
	steps = append(steps, func() ([]string, error) { return nil, w.hold(p.spec, want) })
	for _, step := range steps {
		said, err := step()
		if err != nil {
			return nil, err
		}
		remarks = append(remarks, said...)
	}
	return remarks, nil
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
func (w workload) shareProcesses(p plan) (remarks []string, err error) {
	spec := p.spec
	share, err := w.own(spec, yaml.ScalarNode, "shareProcessNamespace")
	switch {
	case !p.sees:
		return nil, nil
	case err != nil:
		return nil, err
	case isTrue(spec, "shareProcessNamespace"):
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
