package inject

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

// removeAll takes podsignal out of all that have it.
func removeAll(all []workload, _ options) (remarks []string, err error) {
	var errs []error
	for _, w := range all {
		if !w.hasPod() || !w.hasPodsignal() {
			continue
		}
		said, err := w.remove()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
		for _, s := range said {
			remarks = append(remarks, w.called(s))
		}
	}
	return remarks, errors.Join(errs...)
}

func (w workload) hasPodsignal() bool {
	spec := lookup(lookup(w.object, w.pod...), "spec")
	return itemOf(spec, "initContainers", name) != nil || itemOf(spec, "containers", name) != nil
}

// remove takes podsignal out, with all that inject has added for it. Processes stay shared where
// other containers may need that, which the manifest does not tell.
func (w workload) remove() (remarks []string, err error) {
	if err := duplicates(w.object); err != nil {
		return nil, err
	}
	spec, err := w.ownSpec()
	if err != nil {
		return nil, err
	}
	if isHoldVolume(itemOf(spec, "volumes", annotation.HoldVolume)) {
		if err := w.removeItem(spec, "volumes", annotation.HoldVolume); err != nil {
			return nil, err
		}
	}
	for _, of := range []struct{ key, name string }{
		{"initContainers", installer}, {"initContainers", name}, {"containers", name}, {"volumes", binaries},
	} {
		if err := w.removeItem(spec, of.key, of.name); err != nil {
			return nil, err
		}
	}
	if share, err := w.own(spec, yaml.ScalarNode, "shareProcessNamespace"); err != nil {
		return nil, err
	} else if share != nil && isTrue(spec, "shareProcessNamespace") {
		if rest := longRunning(spec); len(rest) == 1 {
			unset(spec, "shareProcessNamespace")
		} else {
			remarks = append(remarks, "shareProcessNamespace stays true, since its other containers may need it: remove it if they do not")
		}
	}
	if a := w.annotated(); a != nil {
		remarks = append(remarks, a.Key()+" stays, and asks for podsignal again: remove it too")
	}
	return remarks, nil
}

// removeItem removes what has a name from a list, and a list that is empty then.
func (w workload) removeItem(spec *yaml.Node, key, name string) error {
	if itemOf(spec, key, name) == nil {
		return nil
	}
	list, err := w.own(spec, yaml.SequenceNode, key)
	if err != nil {
		return err
	}
	list.Content = slices.DeleteFunc(list.Content, func(item *yaml.Node) bool { return text(item, "name") == name })
	if len(list.Content) == 0 {
		unset(spec, key)
	}
	return nil
}
