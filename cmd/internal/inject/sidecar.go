package inject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/signal"
)

// sidecar returns podsignal's container, a native sidecar as in the examples.
func sidecar(want settings, mounts []mount, security []field) *yaml.Node {
	env := list()
	for _, v := range append(variables(want, mounts), want.needed...) {
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
		"resources", resources(str("32Mi")),
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
	decided := []variable{{"FILE", strings.Join(paths, ",")}, {"PROCESS", want.process}, {"SIGNAL", want.signal}}
	if want.validate != "" {
		decided = append(decided, variable{"VALIDATE", want.validate})
	}
	return decided
}

func (v variable) node() *yaml.Node {
	// The kubelet would take $(NAME) for another variable, and $$ for $.
	return object("name", str(v.name), "value", str(strings.ReplaceAll(v.value, "$", "$$")))
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
	// As an ordinary init container it would block the pod for ever. Where it is
	// among the containers, it may stay so.
	if w.isInit(old) {
		set(old, "restartPolicy", str("Always"))
	}

	env, err := w.ownOrNew(old, yaml.SequenceNode, "env")
	if err != nil {
		return nil, err
	}
	files := strings.Split(valueOf(env, "FILE"), ",")
	remarks = signalRemarks(old, want)
	for _, v := range variables(want, mounts) {
		var with []*yaml.Node
		if v.value != "" {
			with = append(with, v.node())
		}
		replaceItems(env, with, func(item *yaml.Node) bool { return text(item, "name") == v.name })
	}
	for _, v := range want.needed {
		if itemOf(old, "env", v.name) == nil {
			env.Content = append(env.Content, v.node())
		}
	}

	volumeMounts, err := w.ownOrNew(old, yaml.SequenceNode, "volumeMounts")
	if err != nil {
		return nil, err
	}
	var with []*yaml.Node
	for _, m := range mounts {
		with = append(with, m.node())
		files = append(files, m.path)
	}
	// Those that were for FILE as it was are not the user's either.
	replaceItems(volumeMounts, with, func(item *yaml.Node) bool {
		return slices.Contains(files, text(item, "mountPath")) ||
			slices.ContainsFunc(mounts, func(m mount) bool { return m.volume == text(item, "name") })
	})

	securityContext, err := w.ownOrNew(old, yaml.MappingNode, "securityContext")
	if err != nil {
		return nil, err
	}
	if isTrue(securityContext, "privileged") {
		unset(securityContext, "privileged")
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

// signalRemarks say that the signal is another than it was, where the user has not asked for it.
func signalRemarks(old *yaml.Node, want settings) []string {
	was := text(itemOf(old, "env", "SIGNAL"), "value")
	sig, err := signal.Parse(was)
	switch {
	case was == "" || want.signalBy != "" || err == nil && signal.Name(sig) == cmp.Or(want.signal, "HUP"):
		return nil
	case want.signal == "":
		return []string{fmt.Sprintf("SIGNAL was %s, and is unset now, which means HUP: set --signal, or the annotation podsignal/signal", was)}
	default:
		return []string{fmt.Sprintf("SIGNAL was %s, and is %s now, on which %s reloads: set --signal, or the annotation podsignal/signal", was, want.signal, want.process)}
	}
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

// replaceItems has a sequence hold others in the place of the items that match. One that
// is there already stays where it is, and as it is written.
func replaceItems(seq *yaml.Node, with []*yaml.Node, match func(*yaml.Node) bool) {
	missing := slices.Clone(with)
	var kept []*yaml.Node
	place := -1 // in kept, of what is missing
	for _, item := range seq.Content {
		if !match(item) {
			kept = append(kept, item)
			continue
		}
		i := slices.IndexFunc(missing, func(n *yaml.Node) bool { return equal(n, item) })
		if i >= 0 {
			kept = append(kept, item)
			missing = slices.Delete(missing, i, i+1)
		} else if place < 0 {
			place = len(kept)
		}
	}
	if place < 0 {
		place = len(kept)
	}
	seq.Content = slices.Insert(kept, place, missing...)
}
