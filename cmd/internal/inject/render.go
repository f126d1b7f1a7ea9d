package inject

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// style is how a manifest is written.
type style struct {
	step string // that a mapping is indented by
	seq  string // that a list is indented by, below its key
	json bool   // strings and keys are in quotes
}

// block returns the lines of a node, as a block of YAML.
func (st style) block(n *yaml.Node) []string {
	if isInline(n) {
		return []string{st.inline(n)}
	}
	var lines []string
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			lines = append(lines, hang("- ", "  ", st.block(item))...)
		}
		return lines
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		lines = append(lines, st.entry(n.Content[i], n.Content[i+1])...)
	}
	return lines
}

// entry returns the lines of a key and its value.
func (st style) entry(key, value *yaml.Node) []string {
	switch {
	case isInline(value):
		return []string{st.scalar(key) + ": " + st.inline(value)}
	case value.Kind == yaml.SequenceNode:
		return append([]string{st.scalar(key) + ":"}, hang(st.seq, st.seq, st.block(value))...)
	default:
		return append([]string{st.scalar(key) + ":"}, hang(st.step, st.step, st.block(value))...)
	}
}

func isInline(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode || n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0
}

// hang puts one string before the first line and another before the others.
func hang(first, others string, lines []string) []string {
	lines = slices.Clone(lines)
	for i := range lines {
		if i == 0 {
			lines[i] = first + lines[i]
		} else {
			lines[i] = others + lines[i]
		}
	}
	return lines
}

// spread returns the lines of a node between brackets, as kubectl -o json prints it.
func (st style) spread(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{st.scalar(n)}
	}
	open, closing, parts := st.parts(n, st.spread)
	if len(parts) == 0 {
		return []string{open + closing}
	}
	lines := []string{open}
	for i, part := range parts {
		if i < len(parts)-1 {
			part[len(part)-1] += ","
		}
		lines = append(lines, hang(st.step, st.step, part)...)
	}
	return append(lines, closing)
}

// inline returns a node in one line.
func (st style) inline(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return st.scalar(n)
	}
	open, closing, parts := st.parts(n, func(n *yaml.Node) []string { return []string{st.inline(n)} })
	var b strings.Builder
	b.WriteString(open)
	for i, part := range parts {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(part[0])
	}
	b.WriteString(closing)
	return b.String()
}

// parts returns the brackets of a collection, and the lines of all in it.
func (st style) parts(n *yaml.Node, write func(*yaml.Node) []string) (open, closing string, parts [][]string) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			parts = append(parts, write(item))
		}
		return "[", "]", parts
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		part := write(n.Content[i+1])
		part[0] = st.scalar(n.Content[i]) + ": " + part[0]
		parts = append(parts, part)
	}
	return "{", "}", parts
}

// plain are the characters of strings that need no quotes anywhere.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._"

// isPlain tells whether a string needs no quotes, if it is no other type.
func isPlain(value string) bool {
	return value != "" && strings.Trim(value, plain+"@:+-") == "" &&
		strings.Contains(plain, value[:1]) && !strings.HasSuffix(value, ":")
}

// scalar writes a scalar. A string gets quotes where it needs them, those of JSON,
// which are YAML's too.
func (st style) scalar(n *yaml.Node) string {
	if n.ShortTag() != "!!str" {
		return n.Value
	}
	bare := yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}
	switch {
	case st.json, !isPlain(n.Value), bare.ShortTag() != "!!str",
		// YAML 1.1, as kubectl reads it, has more numbers and booleans.
		strings.Trim(n.Value, "0123456789:._+-eE") == "",
		slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(n.Value)):
		quoted, err := json.Marshal(n.Value)
		if err != nil {
			panic(err) // a string has no other form
		}
		return string(quoted)
	}
	return n.Value
}
