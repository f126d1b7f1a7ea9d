package inject

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A workload is an object that has a pod, or is one.
type workload struct {
	name   string     // Deployment/web
	object *yaml.Node // perhaps an alias
	pod    []string   // the keys that lead to the pod template
	// isKnown says that the kind is one of kinds. Another is changed only if it asks.
	isKnown bool
	// shared are the nodes of the document that aliases refer to: what is changed in
	// one of them changes elsewhere too.
	shared map[*yaml.Node]bool
}

// kinds are the workloads: their API group with its slash, and where the pod template is.
var kinds = map[string]struct {
	group string
	pod   []string
}{
	"Pod":         {"", nil},
	"Deployment":  {"apps/", []string{"spec", "template"}},
	"StatefulSet": {"apps/", []string{"spec", "template"}},
	"DaemonSet":   {"apps/", []string{"spec", "template"}},
	"ReplicaSet":  {"apps/", []string{"spec", "template"}},
	"Job":         {"batch/", []string{"spec", "template"}},
	"CronJob":     {"batch/", []string{"spec", "jobTemplate", "spec", "template"}},
}

// workloads returns the objects in a document as workloads, also those of other kinds.
func workloads(doc *yaml.Node) []workload {
	shared := make(map[*yaml.Node]bool)
	findShared(doc, shared)
	var all []workload
	for _, root := range doc.Content {
		objects := []*yaml.Node{root}
		if text(root, "kind") == "List" {
			objects = nil
			if all := lookup(root, "items"); all != nil && all.Kind == yaml.SequenceNode {
				objects = all.Content
			}
		}
		for _, object := range objects {
			all = append(all, workloadOf(object, shared))
		}
	}
	return all
}

// workloadOf takes kinds of the same name in other API groups for other kinds.
func workloadOf(object *yaml.Node, shared map[*yaml.Node]bool) workload {
	kind, name := text(object, "kind"), text(object, "metadata", "name")
	if name == "" {
		name = text(object, "metadata", "generateName")
	}
	w := workload{name: kind + "/" + name, object: object, shared: shared}
	group, _, named := strings.Cut(text(object, "apiVersion"), "/")
	if named {
		group += "/"
	} else {
		group = ""
	}
	k, found := kinds[kind]
	switch {
	case found && group == k.group:
		w.pod, w.isKnown = k.pod, true
	case kind == "PodTemplate" && group == "":
		w.pod = []string{"template"}
	default:
		w.pod = []string{"spec", "template"}
	}
	return w
}

// hasPod tells whether there is a pod where the kind has one.
func (w workload) hasPod() bool {
	containers := lookup(lookup(w.object, w.pod...), "spec", "containers")
	return containers != nil && containers.Kind == yaml.SequenceNode
}

// newImage is the image that podsignal has been given; empty: that which was there. Where it runs
// in the program's image, the init container has its own.
func (w workload) newImage() string {
	spec := lookup(lookup(w.object, w.pod...), "spec")
	c := itemOf(spec, "initContainers", installer)
	for _, key := range []string{"initContainers", "containers"} {
		if c == nil {
			c = itemOf(spec, key, name)
		}
	}
	if image := lookup(c, "image"); image != nil && image.Line == 0 {
		return image.Value
	}
	return ""
}

// findShared adds all that aliases in n refer to, and what is in that.
func findShared(n *yaml.Node, shared map[*yaml.Node]bool) {
	if n.Kind == yaml.AliasNode {
		share(n.Alias, shared)
	}
	for _, child := range n.Content {
		findShared(child, shared)
	}
}

func share(n *yaml.Node, shared map[*yaml.Node]bool) {
	if shared[n] {
		return
	}
	shared[n] = true
	for _, child := range n.Content {
		share(child, shared)
	}
}

// own returns the value of a key, to be changed, and nil where there is none or null.
// One that other places share is an error.
func (w workload) own(m *yaml.Node, kind yaml.Kind, key string) (*yaml.Node, error) {
	found := lookup(m, key)
	if found == nil {
		return nil, nil
	}
	i := indexKey(m, key)
	if i < 0 || m.Content[i+1] != found || w.shared[found] {
		return nil, fmt.Errorf("line %d: %s is shared by an anchor, and podsignal is not to change the other places: write it out", m.Line, key)
	}
	if found.Kind != kind {
		return nil, fmt.Errorf("line %d: %s is %s, not %s", found.Line, key, kindNames[found.Kind], kindNames[kind])
	}
	if len(found.Content) == 0 {
		found.Style &^= yaml.FlowStyle // what is put into [] need not stay in one line
	}
	return found, nil
}

var kindNames = map[yaml.Kind]string{
	yaml.MappingNode:  "a mapping",
	yaml.SequenceNode: "a list",
	yaml.ScalarNode:   "a scalar",
}
