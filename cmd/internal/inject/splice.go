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
var errNotSpliced = errors.New("the manifest is written in a way that podsignal cannot be put into: have kubectl write it anew, by kubectl create --dry-run=client -o yaml -f -")

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

// add puts new entries into a collection, behind the one at after, or before all for -1.
// others tells whether any stay behind them.
func (s *splicer) add(old *yaml.Node, was []entry, after int, added []entry, others bool, indent int) {
	if len(added) == 0 || len(was) == 0 {
		return
	}
	if old.Style&yaml.FlowStyle != 0 {
		s.addInline(old, was, after, added, others, indent)
		return
	}
	var lines []string
	for _, e := range added {
		if old.Kind == yaml.SequenceNode {
			lines = append(lines, hang("- ", "  ", s.style.block(e.value))...)
		} else {
			lines = append(lines, s.style.entry(e.key, e.value)...)
		}
	}
	var at int
	switch {
	case after >= 0:
		at = s.behind(s.end(was[after].value, indent), indent)
	case old.Kind == yaml.SequenceNode:
		at = s.dash(was[0].key, indent)
	default:
		// Comments above the first key are about that key.
		at = s.lineStart(s.start(was[0].key))
		for at > 0 {
			above := s.lineStart(at - 1)
			if says := s.says(above); says != 0 && says != '#' {
				break
			}
			at = above
		}
	}
	s.insertLines(at, lines, indent)
}

// insertLines puts lines at the beginning of a line.
func (s *splicer) insertLines(at int, lines []string, indent int) {
	margin := strings.Repeat(" ", indent)
	s.edits = append(s.edits, edit{at, at, strings.Join(hang(margin, margin, lines), s.newline) + s.newline})
}

// behind returns where a line after an entry begins, and after the comments that are
// indented deeper than it.
func (s *splicer) behind(end, indent int) int {
	at := s.lineAfter(end)
	for next := at; next < len(s.text); next = s.lineAfter(next) {
		switch says := s.says(next); {
		case says == 0:
		case says == '#' && len(s.margin(next)) > indent:
			at = s.lineAfter(next)
		default:
			return at
		}
	}
	return at
}

// addInline is add between brackets.
func (s *splicer) addInline(old *yaml.Node, was []entry, after int, added []entry, others bool, indent int) {
	var texts []string
	first := s.start(was[0].key)
	separator := ", "
	write := func(n *yaml.Node) []string { return []string{s.style.inline(n)} }
	if s.line(first) > s.line(s.start(old)) { // a line each
		separator = "," + s.newline + string(s.margin(first))
		write = s.style.spread
	}
	for _, e := range added {
		lines := write(e.value)
		if old.Kind == yaml.MappingNode {
			lines[0] = s.style.scalar(e.key) + ": " + lines[0]
		}
		texts = append(texts, strings.Join(hang("", string(s.margin(first)), lines), s.newline))
	}
	if after >= 0 {
		at := s.end(was[after].value, indent)
		s.edits = append(s.edits, edit{at, at, separator + strings.Join(texts, separator)})
		return
	}
	text := strings.Join(texts, separator)
	if others {
		text += separator
	}
	s.edits = append(s.edits, edit{first, first, text})
}

// remove takes out the entries from one to before another.
func (s *splicer) remove(old *yaml.Node, was []entry, from, to, indent int) {
	for i := from; i < to; i++ {
		switch {
		case old.Style&yaml.FlowStyle == 0:
			start := s.lineStart(s.start(was[i].key))
			if old.Kind == yaml.SequenceNode {
				start = s.dash(was[i].key, indent)
			}
			s.edits = append(s.edits, edit{start, s.lineAfter(s.end(was[i].value, indent)), ""})
		case from > 0: // with the comma before it
			s.edits = append(s.edits, edit{s.end(was[i-1].value, indent), s.end(was[i].value, indent), ""})
		case i+1 < len(was): // with the comma after it
			s.edits = append(s.edits, edit{s.start(was[i].key), s.start(was[i+1].key), ""})
		default:
			s.edits = append(s.edits, edit{s.start(was[i].key), s.end(was[i].value, indent), ""})
		}
	}
}

// dash returns where the line of an item's dash begins. It may be above the item.
func (s *splicer) dash(item *yaml.Node, indent int) int {
	at := s.lineStart(s.start(item))
	for at > 0 && (len(s.margin(at)) != indent || s.says(at) != '-') {
		at = s.lineStart(at - 1)
	}
	return at
}

// replace gives an entry of a collection another value.
func (s *splicer) replace(old *yaml.Node, e entry, value *yaml.Node, indent int) {
	start, end := s.start(e.value), s.end(e.value, indent)
	if old.Style&yaml.FlowStyle == 0 && !isInline(value) {
		lines := s.style.entry(e.key, value)[1:]
		if s.line(start) > s.line(s.start(e.key)) {
			s.insertLines(s.lineStart(start), lines, indent)
			s.edits = append(s.edits, edit{s.lineStart(start), s.lineAfter(end), ""})
			return
		}
		s.insertLines(s.lineAfter(end), lines, indent)
		for start > 0 && s.text[start-1] == ' ' { // a comment behind it stays
			start--
		}
		s.edits = append(s.edits, edit{start, end, ""})
		return
	}
	lines := []string{s.style.inline(value)}
	margin := s.margin(s.start(e.key))
	if s.style.json && s.start(e.key) == s.lineStart(s.start(e.key))+len(margin) {
		lines = s.style.spread(value)
	}
	text := strings.Join(hang("", string(margin), lines), s.newline)
	if start > 0 && s.text[start-1] == ':' { // behind the key there was nothing
		text = " " + text
	}
	s.edits = append(s.edits, edit{start, end, text})
}
