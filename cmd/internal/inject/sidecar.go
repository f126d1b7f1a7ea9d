package inject

import (
	"cmp"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/signal"
)

// sidecar returns podsignal's container, a native sidecar as in the examples. The admission
// policies make the same of a pod.
func sidecar(p plan, want settings) *yaml.Node {
	for _, v := range want.needed {
		want.set(v)
	}
	env := list()
	for _, v := range want.variables {
		if v.value != "" {
			env.Content = append(env.Content, v.node())
		}
	}
	volumeMounts := list()
	for _, m := range p.mounts {
		volumeMounts.Content = append(volumeMounts.Content, m.node())
	}
	securityContext := object()
	for _, f := range p.security {
		if f.value != nil {
			set(securityContext, f.key, f.value)
		}
	}
	c := object(
		"name", str(name),
		"image", str(imageOf(want)),
		"imagePullPolicy", str("IfNotPresent"),
		"restartPolicy", str("Always"),
		"env", env,
	)
	port := portOf(want)
	if port != nil {
		set(c, "ports", list(port))
	}
	set(c, "volumeMounts", volumeMounts)
	if port != nil {
		set(c, "livenessProbe", liveness())
	}
	set(c, "securityContext", securityContext)
	p.size.set(c)
	return c
}

func imageOf(want settings) string {
	if want.image != "" {
		return want.image
	}
	return name + ":" + want.version
}

// update brings a podsignal that is there to the same state. What inject does not
// decide on stays: other variables, resources, probes, other mounts. It returns what
// the user may not expect.
func (w workload) update(p plan, want settings) (remarks []string, err error) {
	old := p.old
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
	was := text(itemOf(old, "env", "FILE"), "value")
	remarks = signalRemarks(old, want)
	for _, v := range want.decided() {
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

	said, err := w.mount(p, was)
	if err != nil {
		return nil, err
	}
	remarks = append(remarks, said...)
	if err := w.listen(old, want); err != nil {
		return nil, err
	}

	securityContext, err := w.ownOrNew(old, yaml.MappingNode, "securityContext")
	if err != nil {
		return nil, err
	}
	if isTrue(securityContext, "privileged") {
		unset(securityContext, "privileged")
	}
	for _, f := range p.security {
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
	was, is := text(itemOf(old, "env", "SIGNAL"), "value"), want.get("SIGNAL")
	sig, err := signal.Parse(was)
	switch {
	case was == "" || is.by != "" || err == nil && signal.Name(sig) == cmp.Or(is.value, "HUP"):
		return nil
	case want.get("RELOAD_URL").value != "":
		return []string{fmt.Sprintf("SIGNAL was %s, and is unset now: podsignal calls a URL instead", was)}
	case is.value == "":
		return []string{fmt.Sprintf("SIGNAL was %s, and is unset now, which means HUP: set --signal, or the annotation podsignal/signal", was)}
	default:
		return []string{fmt.Sprintf("SIGNAL was %s, and is %s now, on which %s reloads: set --signal, or the annotation podsignal/signal", was, is.value, want.get("PROCESS").value)}
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
