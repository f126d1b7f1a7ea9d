package inject

import (
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// A field is one of podsignal's security context. Without a value it is not to be there.
type field struct {
	key   string
	value *yaml.Node
}

// keep has no uid set, as OpenShift wants it, which sets its own.
const keep = "keep"

// An identity is what podsignal runs as.
type identity struct {
	uid, gid *yaml.Node // nil: not set
	root     bool
	mayKill  bool // it has the capability KILL
}

// securityOf returns podsignal's security context, and what had to be assumed for it.
func securityOf(p plan, want settings) (fields []field, remark string, err error) {
	if validating(p.old) {
		p.old = nil // what it has is the program's
	}
	id, remark, err := identityOf(p, want)
	if err != nil {
		return nil, "", err
	}
	capabilities := object("drop", flow(list(str("ALL"))))
	if id.mayKill {
		capabilities = object("add", flow(list(str("KILL"))), "drop", flow(list(str("ALL"))))
	}
	return []field{
		{"runAsUser", id.uid},
		{"runAsGroup", id.gid},
		{"runAsNonRoot", boolean(!id.root)},
		{"allowPrivilegeEscalation", boolean(false)},
		{"readOnlyRootFilesystem", boolean(true)},
		{"capabilities", capabilities},
		{"seccompProfile", object("type", str("RuntimeDefault"))},
	}, remark, nil
}

// identityOf returns the program's, as far as the manifest names it: the kernel permits a signal
// to a process of the same uid (kill(2)). To one of any uid it permits it to root with the
// capability KILL, which is of no use in a container that is not root.
func identityOf(p plan, want settings) (id identity, remark string, err error) {
	spec, target, old := p.spec, p.target, p.old
	container := text(target, "name")
	var ids [4]*yaml.Node
	for i, of := range []struct {
		n         *yaml.Node
		key, name string
	}{{target, "runAsUser", container}, {target, "runAsGroup", container}, {spec, "runAsUser", "the pod"}, {old, "runAsUser", name}} {
		if ids[i], err = idOf(of.n, of.key, of.name); err != nil {
			return id, "", err
		}
	}
	uid, gid, podUID, oldUID := ids[0], ids[1], ids[2], ids[3]
	if oldGID := lookup(old, "securityContext", "runAsGroup"); gid == nil && oldGID != nil {
		gid = number(oldGID.Value)
	}
	nonRoot := lookup(target, "securityContext", "runAsNonRoot")
	if nonRoot == nil {
		nonRoot = lookup(spec, "securityContext", "runAsNonRoot")
	}
	as := func(uid *yaml.Node) identity { return identity{uid: uid, gid: gid, root: uid.Value == "0"} }
	switch {
	case want.uid == keep, want.uid == "" && uid == nil && podUID == nil && keeps(old):
		return identity{gid: gid, root: podUID != nil && podUID.Value == "0"}, "", nil
	case want.uid == "0" && isTrue(nonRoot):
		return id, "", unchanged{fmt.Errorf("container %s has runAsNonRoot, so its program's uid is not 0: set podsignal/uid, or --uid, to that", container)}
	case want.uid != "":
		return as(number(want.uid)), "", nil
	case !p.sees && oldUID != nil:
		return as(oldUID), "", nil
	case !p.sees: // any uid may call a URL
		return as(number("65532")), "", nil
	case uid != nil:
		return as(uid), "", nil
	case podUID != nil: // podsignal has it from there, too
		return identity{gid: gid, root: podUID.Value == "0"}, "", nil
	case oldUID != nil && !calls(old): // whoever has set it knows the program's image
		id = as(oldUID)
		id.mayKill = id.root && slices.ContainsFunc(items(old, "securityContext", "capabilities", "add"), func(n *yaml.Node) bool { return n.Value == "KILL" })
		return id, "", nil
	}
	if isTrue(nonRoot) {
		return id, "", unchanged{fmt.Errorf("container %s has runAsNonRoot but no runAsUser, and podsignal has to run as the same uid: set podsignal/uid, or --uid", container)}
	}
	id = as(number("0"))
	id.mayKill = true
	return id, fmt.Sprintf("container %s has no runAsUser, so podsignal runs as root with the capability KILL: set podsignal/uid, or --uid, to the program's uid, and it needs neither", container), nil
}

// keeps tells whether a podsignal that is there was to keep the uid that it is given.
func keeps(old *yaml.Node) bool {
	return isTrue(old, "securityContext", "runAsNonRoot") && lookup(old, "securityContext", "runAsUser") == nil
}

// calls tells whether a podsignal that is there sends no signals, so that its uid may be any.
func calls(old *yaml.Node) bool {
	return isSet(itemOf(old, "env", "RELOAD_URL")) && !isSet(itemOf(old, "env", "PROCESS")) && !isSet(itemOf(old, "env", "RULES"))
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
