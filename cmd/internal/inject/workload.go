package inject

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/validate"
	"github.com/podsignal/podsignal/cmd/programs"
	"github.com/podsignal/podsignal/signal"
)

// A workload is an object that has a pod, or is one.
type workload struct {
	name   string     // Deployment/web
	object *yaml.Node // perhaps an alias
	pod    []string   // the keys that lead to the pod template
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

// workloads returns those in a document. Kinds of the same name in other API groups
// are none.
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
			kind, version := text(object, "kind"), text(object, "apiVersion")
			k, ok := kinds[kind]
			group, _, named := strings.Cut(version, "/")
			if named {
				group += "/"
			} else {
				group = ""
			}
			if !ok || group != k.group {
				continue
			}
			name := text(object, "metadata", "name")
			if name == "" {
				name = text(object, "metadata", "generateName")
			}
			all = append(all, workload{name: kind + "/" + name, object: object, pod: k.pod, shared: shared})
		}
	}
	return all
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

// settings are what a workload is to get, and from where that came.
type settings struct {
	process   string
	signal    string
	volumes   []string // none: all that can change
	volumesBy string   // --volume, or the annotation
	container string
	image     string // empty: as it is, or the default
	validate  string // a command; empty: none
	version   string
	signalBy  string     // --signal, or the annotation
	needed    []variable // by the program, unless the user has set them
	remarks   []string   // what is known of the program, against what is wanted
}

// settings returns what the flags say, or else the annotations. Empty counts as unset.
func (w workload) settings(opts options) (settings, error) {
	get := func(option, flag string) (value, from string) {
		if value = strings.Trim(flag, ", "); value != "" {
			return value, "--" + option
		}
		key := "podsignal/" + option
		if value = strings.TrimSpace(text(w.object, "metadata", "annotations", key)); value == "" {
			value = strings.TrimSpace(text(lookup(w.object, w.pod...), "metadata", "annotations", key))
		}
		return value, "annotation " + key
	}
	want := settings{container: opts.container, image: opts.image, version: opts.version}
	var errs []error
	invalid := func(from, value, rest string) {
		errs = append(errs, fmt.Errorf("%s: %s=%q %s", w.name, from, value, rest))
	}

	process, from := get("process", opts.process)
	if want.process = process; process == "" {
		return want, nil
	}
	if strings.Contains(process, "/") {
		invalid(from, process, "is a path: use the name alone, "+process[strings.LastIndex(process, "/")+1:])
	}
	name, from := get("signal", opts.signal)
	if name != "" {
		sig, err := signal.Parse(name)
		if err != nil {
			invalid(from, name, err.Error())
		}
		want.signal, want.signalBy = signal.Name(sig), from
	}
	if want.validate, from = get("validate", opts.validate); want.validate != "" {
		if _, err := validate.Parse(want.validate); err != nil {
			invalid(from, want.validate, err.Error())
		}
	}
	volumes, from := get("volume", opts.volumes)
	want.volumesBy = from
	for volume := range strings.SplitSeq(volumes, ",") {
		if volume = strings.TrimSpace(volume); volume != "" {
			want.volumes = append(want.volumes, volume)
		}
	}
	if len(errs) > 0 {
		return want, UsageError{errors.Join(errs...)}
	}
	return want, nil
}

// asKnown has the signal be the one that the program is known to reload on, unless another is
// wanted. That it reloads on another, or on none, is a remark. old is the podsignal that is
// there, or nil: one that calls a URL sends no signal, and one with RULES has other programs too.
func (s *settings) asKnown(old *yaml.Node) {
	p := programs.Find(s.process, "")
	if p == nil || isSet(itemOf(old, "env", "RELOAD_URL")) || isSet(itemOf(old, "env", "RULES")) {
		return
	}
	for _, setting := range p.Settings {
		name, value, _ := strings.Cut(setting, "=")
		s.needed = append(s.needed, variable{name, value})
	}
	wanted, _ := signal.Parse(s.signal) // none if it is empty
	switch {
	case p.Signal == "" && (s.signal == "" || s.signal == "HUP"):
		s.remarks = append(s.remarks, fmt.Sprintf("%s does not reload on HUP: %s", p.Name, p.Instead))
	case p.Signal == "": // of others, nothing is known
	case s.signal == "" && p.Signal != "HUP":
		s.signal = p.Signal
	case s.signal != "" && s.signal != p.Signal && !signal.MeansEnd(wanted):
		s.remarks = append(s.remarks, fmt.Sprintf("%s=%q: %s reloads on %s, use that", s.signalBy, s.signal, p.Name, p.Signal))
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
