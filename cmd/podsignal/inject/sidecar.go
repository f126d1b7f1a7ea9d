package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// sidecar returns podsignal's container, a native sidecar as in the examples.
func sidecar(want settings, mounts []mount, security []field) *yaml.Node {
	env := list()
	for _, v := range variables(want, mounts) {
		if v.value != "" {
			env.Content = append(env.Content, v.node())
		}
	}
	volumeMounts := list()
	for _, m := range mounts {
		volumeMounts.Content = append(volumeMounts.Content, m.node())
	}
	securityContext := object()
	for _, f := range security {
		if f.value != nil {
			set(securityContext, f.key, f.value)
		}
	}
	return object(
		"name", str(name),
		"image", str(imageOf(want)),
		"imagePullPolicy", str("IfNotPresent"),
		"restartPolicy", str("Always"),
		"env", env,
		"volumeMounts", volumeMounts,
		"securityContext", securityContext,
		"resources", object(
			"requests", object("cpu", str("1m"), "memory", str("16Mi")),
			"limits", object("memory", str("32Mi")),
		),
	)
}

func imageOf(want settings) string {
	if want.image != "" {
		return want.image
	}
	return name + ":" + want.version
}

// A variable is one of podsignal's environment. Without a value it is not to be there.
type variable struct{ name, value string }

// variables are those that inject decides on; others are the user's.
func variables(want settings, mounts []mount) []variable {
	var paths []string
	for _, m := range mounts {
		paths = append(paths, m.path)
	}
	return []variable{{"FILE", strings.Join(paths, ",")}, {"PROCESS", want.process}, {"SIGNAL", want.signal}}
}

func (v variable) node() *yaml.Node {
	// The kubelet would take $(NAME) for another variable.
	return object("name", str(v.name), "value", str(strings.ReplaceAll(v.value, "$(", "$$(")))
}

// node has podsignal mount the same volume at the same path.
func (m mount) node() *yaml.Node {
	return object("name", str(m.volume), "mountPath", str(m.path), "readOnly", boolean(true))
}

// update brings a podsignal that is there to the same state. What inject does not
// decide on stays: other variables, resources, probes, other mounts. It returns what
// the user may not expect.
func (w workload) update(old *yaml.Node, want settings, mounts []mount, security []field) (remarks []string, err error) {
	if want.image != "" || text(old, "image") == "" {
		set(old, "image", str(imageOf(want)))
	}
	// As an ordinary init container it would hold up the pod for ever. Where it is
	// among the containers, it may stay so.
	if w.isInit(old) {
		set(old, "restartPolicy", str("Always"))
	}

	env, err := w.ownOrNew(old, yaml.SequenceNode, "env")
	if err != nil {
		return nil, err
	}
	files := strings.Split(valueOf(env, "FILE"), ",")
	if now := valueOf(env, "SIGNAL"); now != "" && want.signal == "" {
		remarks = append(remarks, fmt.Sprintf("SIGNAL was %s, and is unset now, which means HUP: set --signal, or the annotation podsignal/signal", now))
	}
	for _, v := range variables(want, mounts) {
		replaceItems(env, v.node(), v.value != "", func(item *yaml.Node) bool { return text(item, "name") == v.name })
	}

	volumeMounts, err := w.ownOrNew(old, yaml.SequenceNode, "volumeMounts")
	if err != nil {
		return nil, err
	}
	isWanted := func(item *yaml.Node) bool {
		return slices.ContainsFunc(mounts, func(m mount) bool { return equal(item, m.node()) })
	}
	// Those that are for FILE as it was are not the user's either.
	volumeMounts.Content = slices.DeleteFunc(volumeMounts.Content, func(item *yaml.Node) bool {
		return slices.Contains(files, text(item, "mountPath")) && !isWanted(item)
	})
	for _, m := range mounts {
		replaceItems(volumeMounts, m.node(), true, func(item *yaml.Node) bool {
			return text(item, "mountPath") == m.path || text(item, "name") == m.volume && !isWanted(item)
		})
	}

	securityContext, err := w.ownOrNew(old, yaml.MappingNode, "securityContext")
	if err != nil {
		return nil, err
	}
	for _, f := range security {
		if f.value == nil {
			unset(securityContext, f.key)
		} else {
			set(securityContext, f.key, f.value)
		}
	}
	return remarks, nil
}

// ownOrNew is own, but adds an empty value where there is none.
func (w workload) ownOrNew(m *yaml.Node, kind yaml.Kind, key string) (*yaml.Node, error) {
	n, err := w.own(m, kind, key)
	if err != nil || n != nil {
		return n, err
	}
	n = list()
	if kind == yaml.MappingNode {
		n = object()
	}
	set(m, key, n)
	return n, nil
}

func (w workload) isInit(container *yaml.Node) bool {
	spec := lookup(lookup(w.object, w.pod...), "spec")
	return slices.Contains(items(spec, "initContainers"), container)
}

// valueOf returns the value of a variable in a container's env.
func valueOf(env *yaml.Node, variable string) string {
	for _, item := range env.Content {
		if text(item, "name") == variable {
			return text(item, "value")
		}
	}
	return ""
}

// replaceItems puts item in the place of the first of those in a sequence that match,
// or at the end, and removes the others; if not wanted, all of them. One that is equal
// stays as it is written.
func replaceItems(seq, item *yaml.Node, wanted bool, match func(*yaml.Node) bool) {
	var kept []*yaml.Node
	done := !wanted
	for _, n := range seq.Content {
		if !match(n) {
			kept = append(kept, n)
			continue
		}
		if done {
			continue
		}
		done = true
		if equal(n, item) {
			kept = append(kept, n)
		} else {
			kept = append(kept, item)
		}
	}
	if !done {
		kept = append(kept, item)
	}
	seq.Content = kept
}
