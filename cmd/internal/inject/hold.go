package inject

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

// holds tells whether podsignal is to get the volume with the approvals. HOLD of --env is the
// user's, and so is its file.
func (s *settings) holds() bool {
	hold := s.get("HOLD")
	return hold.value != "" && !strings.HasPrefix(hold.by, "--env")
}

// holding tells whether a podsignal that is there has that volume.
func holding(old *yaml.Node) bool {
	return slices.ContainsFunc(items(old, "volumeMounts"), isHoldItem)
}

func isHoldItem(n *yaml.Node) bool { return text(n, "name") == annotation.HoldVolume }

// endHold unsets HOLD where inject has set it, and nothing asks for it any more.
func (s *settings) endHold(old *yaml.Node) (remarks []string) {
	if !holding(old) || s.decides("HOLD") || text(itemOf(old, "env", "HOLD"), "value") != annotation.HoldFile {
		return nil
	}
	s.set(variable{name: "HOLD"})
	return []string{"HOLD was " + annotation.HoldFile + ", and is unset now, so that changes need no approval: set --hold, or the annotation podsignal/hold"}
}

// hold has podsignal's container, which is complete but for that, mount the approvals, or not.
func (w workload) hold(spec *yaml.Node, want settings) error {
	container, err := w.findOwn(spec, name)
	if err != nil {
		return err
	}
	if !want.holds() {
		if !holding(container) {
			return nil
		}
		return w.removeHold(spec, container)
	}
	if err := w.fitsHold(spec, container, want); err != nil {
		return err
	}
	volumeMounts, err := w.ownOrNew(container, yaml.SequenceNode, "volumeMounts")
	if err != nil {
		return err
	}
	replaceItems(volumeMounts, []*yaml.Node{mount{annotation.HoldVolume, annotation.HoldFolder}.node()}, isHoldItem)
	if isHoldVolume(itemOf(spec, "volumes", annotation.HoldVolume)) {
		return nil
	}
	volumes, err := w.ownOrNew(spec, yaml.SequenceNode, "volumes")
	if err != nil {
		return err
	}
	volumes.Content = append(volumes.Content, object(
		"name", str(annotation.HoldVolume),
		"downwardAPI", object("items", list(object(
			"path", str(annotation.HoldItem),
			"fieldRef", object("fieldPath", str(annotation.HoldField)),
		))),
	))
	return nil
}

// removeHold takes the volume out again.
func (w workload) removeHold(spec, container *yaml.Node) error {
	if err := w.removeItem(container, "volumeMounts", annotation.HoldVolume); err != nil {
		return err
	}
	return w.removeItem(spec, "volumes", annotation.HoldVolume)
}

// fitsHold looks for what is in the place of the volume.
func (w workload) fitsHold(spec, container *yaml.Node, want settings) error {
	hold := want.get("HOLD")
	if w.hasVolume(spec, annotation.HoldVolume) && !isHoldVolume(itemOf(spec, "volumes", annotation.HoldVolume)) {
		return fmt.Errorf("%s: the pod has another volume named %s: rename that", hold.by, annotation.HoldVolume)
	}
	taken := regexp.MustCompile(annotation.NotWithHold)
	for _, m := range items(container, "volumeMounts") {
		// The kubelet takes a path that does not begin with / for one that does.
		if path := text(m, "mountPath"); !isHoldItem(m) && taken.MatchString("/"+path) {
			return fmt.Errorf("%s: podsignal mounts the volume %s at %s: use a path without .. and outside of %s", hold.by, text(m, "name"), path, annotation.HoldFolder)
		}
	}
	for path := range strings.SplitSeq(text(itemOf(container, "env", "FILE"), "value"), ",") {
		if path = strings.TrimSpace(path); path != "" && taken.MatchString("/"+path) {
			return fmt.Errorf("%s: FILE has %s: use paths without .. and outside of %s", hold.by, path, annotation.HoldFolder)
		}
	}
	return nil
}

// isHoldVolume tells whether a volume has the approvals. kubectl prints more in it than was set.
func isHoldVolume(volume *yaml.Node) bool {
	return slices.ContainsFunc(items(volume, "downwardAPI", "items"), func(item *yaml.Node) bool {
		return text(item, "path") == annotation.HoldItem && text(item, "fieldRef", "fieldPath") == annotation.HoldField
	})
}
