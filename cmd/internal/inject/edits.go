package inject

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

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
	if block := old.Style&yaml.FlowStyle == 0; block && old.Kind == yaml.MappingNode && from < to && to < len(was) && s.hangs(was[from].key, indent) {
		s.edits = append(s.edits, edit{s.start(was[from].key), s.start(was[to].key), ""}) // the next one takes their place
		return
	}
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

// hangs tells whether a key is behind the dash of the item that it is in.
func (s *splicer) hangs(key *yaml.Node, indent int) bool {
	return len(s.margin(s.lineStart(s.start(key)))) < indent
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
	if s.line(start) > s.line(s.start(e.key)) && len(value.Content) > 0 {
		value.Style &^= yaml.FlowStyle // brackets would have to be indented deeper than a list
	}
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
