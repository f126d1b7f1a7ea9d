package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node has podsignal mount the same volume at the same path.
func (m mount) node() *yaml.Node {
	return object("name", str(m.volume), "mountPath", str(m.path), "readOnly", boolean(true))
}

// mount has a podsignal that is there mount the volumes. What FILE names goes on being mounted,
// and a volume that is mounted there need not be at the program's path too. was is FILE as it was.
func (w workload) mount(p plan, was string) (remarks []string, err error) {
	old := p.old
	volumeMounts, err := w.ownOrNew(old, yaml.SequenceNode, "volumeMounts")
	if err != nil {
		return nil, err
	}
	file := text(itemOf(old, "env", "FILE"), "value")
	at := func(item *yaml.Node) mount { return mount{text(item, "name"), text(item, "mountPath")} }
	var wanted []mount
	var unwatched []string
	for _, m := range p.mounts {
		served, there := false, false
		for _, item := range volumeMounts.Content {
			served = served || at(item).volume == m.volume && at(item).path != m.path && touches(file, at(item).path)
			there = there || at(item) == m
		}
		if served {
			continue
		}
		wanted = append(wanted, m)
		if !there && file != "" && !touches(file, m.path) {
			unwatched = append(unwatched, m.path)
		}
	}
	var with []*yaml.Node
	for _, m := range wanted {
		with = append(with, m.node())
	}
	replaceItems(volumeMounts, with, func(item *yaml.Node) bool {
		m := at(item)
		switch {
		case slices.ContainsFunc(wanted, func(other mount) bool { return other.path == m.path }), !w.hasVolume(p.spec, m.volume):
			return true
		case touches(file, m.path):
			return false
		default: // those that were for FILE as it was are not the user's either
			return touches(was, m.path) || slices.ContainsFunc(wanted, func(other mount) bool { return other.volume == m.volume })
		}
	})
	if len(unwatched) > 0 {
		remarks = append(remarks, fmt.Sprintf("FILE=%q stays, so podsignal does not watch %s: set --env FILE=, to have it watch all that it mounts", file, names(unwatched, "and")))
	}
	return remarks, nil
}

// touches tells whether a path of FILE is a folder, in it, or above it.
func touches(files, folder string) bool {
	isIn := func(path, folder string) bool { return strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/") }
	for path := range strings.SplitSeq(files, ",") {
		if path = strings.TrimSpace(path); path != "" && (path == folder || isIn(path, folder) || isIn(folder, path)) {
			return true
		}
	}
	return false
}
