package inject

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// source is a manifest's text, in which a node of the parser has a line and a column
// where it begins, but nothing that says where it ends. It ends in a line break.
type source struct {
	text    []byte
	lines   []int  // where each begins
	newline string // that is used
}

func newSource(body []byte) *source {
	s := &source{text: body, lines: []int{0}, newline: "\n"}
	for at := 0; at < len(body); {
		n := breakLength(body[at:])
		if at += n; n > 0 {
			s.lines = append(s.lines, at)
		} else {
			at++
		}
	}
	if i := bytes.IndexByte(body, '\n'); i > 0 && body[i-1] == '\r' {
		s.newline = "\r\n"
	}
	return s
}

// breakLength returns the length of the line break that b begins with, 0 for none.
// Those of YAML 1.1 (section 4.2) are CR LF, CR, LF, NEL, LS and PS.
func breakLength(b []byte) int {
	for _, br := range []string{"\r\n", "\r", "\n", "\u0085", "\u2028", "\u2029"} {
		if bytes.HasPrefix(b, []byte(br)) {
			return len(br)
		}
	}
	return 0
}

// start returns where a node begins. Columns count characters.
func (s *source) start(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(s.lines) {
		return len(s.text)
	}
	at := s.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(s.text[at:])
		at += size
	}
	return at
}

// line returns the number of the line, from 0, that an offset is in.
func (s *source) line(at int) int {
	i, found := slices.BinarySearch(s.lines, at)
	if !found {
		i--
	}
	return i
}

// lineStart returns where the line of an offset begins, and lineAfter where the next does.
func (s *source) lineStart(at int) int { return s.lines[s.line(at)] }

func (s *source) lineAfter(at int) int {
	if next := s.line(at) + 1; next < len(s.lines) {
		return s.lines[next]
	}
	return len(s.text)
}

// margin returns the white space that the line of an offset begins with.
func (s *source) margin(at int) []byte {
	from := s.lineStart(at)
	to := from
	for to < len(s.text) && (s.text[to] == ' ' || s.text[to] == '\t') {
		to++
	}
	return s.text[from:to]
}

// says tells what the line of an offset holds beside white space: its first character,
// or 0 for nothing.
func (s *source) says(at int) byte {
	first := s.lineStart(at) + len(s.margin(at))
	if first == len(s.text) || breakLength(s.text[first:]) > 0 {
		return 0
	}
	return s.text[first]
}

// end returns where a node ends. indent is the column, from 0, of the block collection
// that it is in, or -1.
func (s *source) end(n *yaml.Node, indent int) int {
	isFlow := n.Style&yaml.FlowStyle != 0
	if last := len(n.Content) - 1; last >= 0 && !isFlow {
		return s.end(n.Content[last], s.indent(n))
	}
	at, after := s.content(n)
	switch {
	case at >= len(s.text):
		return after
	case isFlow:
		return s.flowEnd(n, at, indent)
	case n.Kind == yaml.AliasNode:
		return s.wordEnd(at)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for at++; at < len(s.text) && s.text[at] != '"'; at++ {
			if s.text[at] == '\\' {
				at++
			}
		}
		return min(at+1, len(s.text))
	case n.Style&yaml.SingleQuotedStyle != 0:
		for at++; at < len(s.text); at++ {
			if s.text[at] != '\'' {
				continue
			}
			if at++; at == len(s.text) || s.text[at] != '\'' {
				break
			}
		}
		return at
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return s.blockScalarEnd(at, indent)
	default:
		return s.plainEnd(n.Value, at, after)
	}
}

// content returns where a node begins without its anchor and tag, and where these end.
func (s *source) content(n *yaml.Node) (at, after int) {
	at = s.start(n)
	after = at
	for at < len(s.text) && (s.text[at] == '&' || s.text[at] == '!') {
		after = s.wordEnd(at)
		at = s.skipSpace(after, false)
	}
	return at, after
}

// indent returns the column, from 0, of the keys or dashes of a block collection.
func (s *source) indent(n *yaml.Node) int {
	if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
		return n.Content[0].Column - 1
	}
	at, _ := s.content(n)
	return at - s.lineStart(at)
}

// wordEnd returns the end of an alias, an anchor or a tag.
func (s *source) wordEnd(at int) int {
	for at < len(s.text) && bytes.IndexByte([]byte(" \t,[]{}"), s.text[at]) < 0 && breakLength(s.text[at:]) == 0 {
		at++
	}
	return at
}

// skipSpace passes over white space, line breaks and comments; with commas, over these
// too.
func (s *source) skipSpace(at int, commas bool) int {
	for at < len(s.text) {
		n := breakLength(s.text[at:])
		switch c := s.text[at]; {
		case n > 0:
			at += n
		case c == ' ' || c == '\t' || commas && c == ',':
			at++
		case c == '#':
			at = s.lineAfter(at)
		default:
			return at
		}
	}
	return at
}

func (s *source) flowEnd(n *yaml.Node, at, indent int) int {
	closing := map[byte]byte{'{': '}', '[': ']'}[s.text[at]]
	if closing != 0 {
		at++
	}
	if last := len(n.Content) - 1; last >= 0 {
		at = s.end(n.Content[last], indent)
	}
	if closing == 0 { // [a: b] has a mapping without braces
		return at
	}
	if next := s.skipSpace(at, true); next < len(s.text) && s.text[next] == closing {
		return next + 1
	}
	return at
}

// blockScalarEnd returns where a scalar begun by | or > ends: before the line break of
// its last line (YAML 1.1, section 9.2).
func (s *source) blockScalarEnd(at, indent int) int {
	margin := 0 // of the content; 0: that of its first line
	keep := false
	for at++; at < len(s.text); at++ {
		if c := s.text[at]; c >= '1' && c <= '9' {
			margin = max(indent, 0) + int(c-'0')
		} else if c == '+' {
			keep = true
		} else if c != '-' {
			break
		}
	}
	end := s.lineEnd(at)
	for next := s.lineAfter(at); next < len(s.text); next = s.lineAfter(next) {
		got := len(bytes.TrimRight(s.margin(next), "\t"))
		if s.says(next) == 0 {
			if keep {
				end = s.lineEnd(next)
			}
			continue
		}
		if margin == 0 {
			margin = max(indent+1, got)
		}
		if got < margin {
			break
		}
		end = s.lineEnd(next)
	}
	return end
}

// lineEnd returns where the line of an offset ends, before its line break.
func (s *source) lineEnd(at int) int {
	for at < len(s.text) && breakLength(s.text[at:]) == 0 {
		at++
	}
	return at
}

// plainEnd returns where a scalar without quotes ends. Its text is its value, but for
// white space where it goes on in another line; there are no comments in it.
func (s *source) plainEnd(value string, at, empty int) int {
	end := empty
	for rest := []byte(value); len(rest) > 0; {
		if n := max(breakLength(rest), spaceLength(rest)); n > 0 {
			rest = rest[n:]
			continue
		}
		for at < len(s.text) {
			n := max(breakLength(s.text[at:]), spaceLength(s.text[at:]))
			if n == 0 {
				break
			}
			at += n
		}
		if at == len(s.text) || s.text[at] != rest[0] {
			break
		}
		at, rest = at+1, rest[1:]
		end = at
	}
	return end
}

func spaceLength(b []byte) int {
	if b[0] == ' ' || b[0] == '\t' {
		return 1
	}
	return 0
}
