package inject

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// A field is one of podsignal's security context. Without a value it is not to be there.
type field struct {
	key   string
	value *yaml.Node
}

// securityOf returns podsignal's security context, and what had to be assumed for it.
// The kernel permits a signal to a process of the same uid (kill(2)), and no capability
// can stand in for that in a container that is not root.
func securityOf(spec, target, old *yaml.Node) (fields []field, remark string, err error) {
	container := text(target, "name")
	uid, err := idOf(target, "runAsUser", container)
	if err != nil {
		return nil, "", err
	}
	gid, err := idOf(target, "runAsGroup", container)
	if err != nil {
		return nil, "", err
	}
	podUID, err := idOf(spec, "runAsUser", "the pod")
	if err != nil {
		return nil, "", err
	}

	root := false
	switch {
	case uid != nil:
		root = uid.Value == "0"
	case podUID != nil: // podsignal has it from there, too
		root = podUID.Value == "0"
	default:
		// Only the program's image tells. Whoever has set podsignal's uid knows it.
		if old != nil {
			if uid, err = idOf(old, "runAsUser", name); err != nil {
				return nil, "", err
			}
			if oldGID := lookup(old, "securityContext", "runAsGroup"); gid == nil && oldGID != nil {
				gid = number(oldGID.Value)
			}
		}
		if uid != nil {
			root = uid.Value == "0"
			break
		}
		nonRoot := lookup(target, "securityContext", "runAsNonRoot")
		if nonRoot == nil {
			nonRoot = lookup(spec, "securityContext", "runAsNonRoot")
		}
		if isTrue(nonRoot) {
			return nil, "", fmt.Errorf("container %s has runAsNonRoot but no runAsUser, and podsignal has to run as the same uid: set securityContext.runAsUser on it", container)
		}
		uid, root = number("0"), true
		remark = fmt.Sprintf("container %s has no runAsUser: root is assumed, for podsignal too; if its image has another user, set securityContext.runAsUser on it", container)
	}
	return []field{
		{"runAsUser", uid},
		{"runAsGroup", gid},
		{"runAsNonRoot", boolean(!root)},
		{"allowPrivilegeEscalation", boolean(false)},
		{"readOnlyRootFilesystem", boolean(true)},
		{"capabilities", object("drop", flow(list(str("ALL"))))},
		{"seccompProfile", object("type", str("RuntimeDefault"))},
	}, remark, nil
}

// idOf returns a uid or gid out of the security context of a container or pod, as a
// new node, or nil.
func idOf(n *yaml.Node, key, of string) (*yaml.Node, error) {
	found := lookup(n, "securityContext", key)
	if found == nil {
		return nil, nil
	}
	id, err := strconv.ParseUint(found.Value, 0, 32)
	if err != nil || found.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("line %d: %s %q of %s is not a valid id: use a number, such as 0 or 101", found.Line, key, found.Value, of)
	}
	return number(strconv.FormatUint(id, 10)), nil
}

func number(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: value}
}

// flow has a list written as [a, b].
func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}
