package inject

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errNotSpliced is for YAML written in a way that this package does not know.
var errNotSpliced = errors.New("the manifest is written in a way that podsignal cannot be put into: have kubectl rewrite it, by kubectl create --dry-run=client -o yaml -f -")

// splice returns body, which was parsed to the documents old, changed to say what the
// documents in changed do. Nodes without a position are new there, and others are where
// they were, in the same order; some may be missing.
//
// What it returns has been parsed again, and found to be those documents.
func splice(body []byte, old, changed []*yaml.Node) ([]byte, error) {
	whole := append(bytes.Clone(body), '\n') // so that each line ends in a break
	s := &splicer{source: newSource(whole)}
	for i := range old {
		for j, root := range old[i].Content {
			s.style = s.styleOf(root)
			s.compare(old[i].Content[j], changed[i].Content[j], -1)
		}
	}
	if len(s.edits) == 0 {
		return body, nil
	}
	result, err := s.apply()
	if err != nil {
		return nil, err
	}
	result = bytes.TrimSuffix(result, []byte("\n"))
	docs, err := parse(result)
	if err != nil || !slices.EqualFunc(docs, changed, same) {
		return nil, errNotSpliced
	}
	return result, nil
}

// same tells whether two nodes are the same but for their style and comments.
func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.ShortTag() == b.ShortTag() && a.Value == b.Value && a.Anchor == b.Anchor &&
		slices.EqualFunc(a.Content, b.Content, same)
}

// splicer collects what is to be changed in a source.
type splicer struct {
	*source
	style style
	edits []edit
}

// An edit puts a text in the place of what is there.
type edit struct {
	start, end int
	text       string
}

func (s *splicer) apply() ([]byte, error) {
	// What is put in at a place goes before what is taken out from there on.
	slices.SortStableFunc(s.edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	var result []byte
	at := 0
	for _, e := range s.edits {
		if e.start < at || e.end < e.start {
			return nil, errNotSpliced
		}
		result = append(append(result, s.text[at:e.start]...), e.text...)
		at = e.end
	}
	return append(result, s.text[at:]...), nil
}

// styleOf returns how a document is written, as far as its root tells.
func (s *splicer) styleOf(root *yaml.Node) style {
	st := style{step: "  ", seq: "  "}
	if root.Style&yaml.FlowStyle == 0 || len(root.Content) == 0 {
		return st
	}
	first := root.Content[0]
	st.json = first.Style&yaml.DoubleQuotedStyle != 0
	if first.Line > root.Line {
		st.step = string(s.margin(s.start(first)))
	}
	return st
}

// entry is what a collection is made of: an item of a list, or a key and its value. An
// item is both its key and its value.
type entry struct{ key, value *yaml.Node }

func (e entry) isNew() bool { return e.key.Line == 0 }

func entries(n *yaml.Node) []entry {
	var all []entry
	for i := 0; i < len(n.Content); i++ {
		e := entry{n.Content[i], n.Content[i]}
		if n.Kind == yaml.MappingNode {
			i++
			e.value = n.Content[i]
		}
		all = append(all, e)
	}
	return all
}

// compare finds the edits that turn one node into another at the same position. indent
// is the column, from 0, of the block collection that it is in, or -1.
func (s *splicer) compare(old, changed *yaml.Node, indent int) {
	if len(old.Content) == 0 {
		return // alike, or else it would be replaced
	}
	if old.Style&yaml.FlowStyle == 0 {
		indent = s.indent(old)
	}
	was := entries(old)
	i := 0 // in was
	var added []entry
	for _, e := range entries(changed) {
		if e.isNew() {
			added = append(added, e)
			continue
		}
		from := i
		for i < len(was) && (was[i].key.Line != e.key.Line || was[i].key.Column != e.key.Column) {
			i++
		}
		s.add(old, was, from-1, added, i < len(was), indent)
		s.remove(old, was, from, i, indent)
		added = nil
		if i == len(was) {
			return // not as splice asks for; it will not read back as meant
		}
		switch {
		case e.value.Line == 0, len(was[i].value.Content) == 0 && len(e.value.Content) > 0:
			s.replace(old, was[i], e.value, indent)
		default:
			s.learn(old, was[i])
			s.compare(was[i].value, e.value, indent)
		}
		i++
	}
	s.add(old, was, i-1, added, false, indent)
	s.remove(old, was, i, len(was), indent)
}

// learn takes the style of what is added from what is around it: from the pod's spec
// and the containers in it.
func (s *splicer) learn(parent *yaml.Node, e entry) {
	if s.style.json || parent.Kind != yaml.MappingNode || isInline(e.value) || e.value.Kind == yaml.AliasNode {
		return
	}
	deeper := strings.Repeat(" ", max(s.indent(e.value)+1-e.key.Column, 0))
	switch {
	case e.key.Value == "spec" && e.value.Kind == yaml.MappingNode:
		s.style.step = deeper
		if i := indexKey(e.value, "containers"); i >= 0 {
			s.learn(e.value, entry{e.value.Content[i], e.value.Content[i+1]})
		}
	case e.key.Value == "containers" && e.value.Kind == yaml.SequenceNode:
		s.style.seq = deeper
	}
}
