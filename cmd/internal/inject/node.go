package inject

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lookup follows keys through mappings, and aliases and merge keys on the way. It is
// for reading: what it returns may be shared with other places. Without a value, or
// with null for it, it returns nil.
func lookup(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		n = lookupOne(n, key, make(map[*yaml.Node]bool))
	}
	return resolve(n)
}

func lookupOne(n *yaml.Node, key string, seen map[*yaml.Node]bool) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || seen[n] {
		return nil
	}
	seen[n] = true // an anchor may hold an alias to itself
	if i := indexKey(n, key); i >= 0 {
		return n.Content[i+1]
	}
	merged := indexKey(n, "<<")
	if merged < 0 {
		return nil
	}
	from := []*yaml.Node{n.Content[merged+1]}
	if list := resolve(from[0]); list != nil && list.Kind == yaml.SequenceNode {
		from = list.Content
	}
	for _, m := range from {
		if found := lookupOne(m, key, seen); found != nil {
			return found
		}
	}
	return nil
}

// resolve returns what an alias refers to, and nil for null.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	return n
}

// text returns the value of a scalar below n, empty if there is none.
func text(n *yaml.Node, keys ...string) string {
	if n = lookup(n, keys...); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// isTrue tells whether a value below n is true, for kubectl, which reads YAML 1.1.
func isTrue(n *yaml.Node, keys ...string) bool {
	return slices.Contains([]string{"true", "yes", "on", "y"}, strings.ToLower(text(n, keys...)))
}

// items returns the elements of a sequence below n.
func items(n *yaml.Node, keys ...string) []*yaml.Node {
	n = lookup(n, keys...)
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	var all []*yaml.Node
	for _, item := range n.Content {
		if item = resolve(item); item != nil {
			all = append(all, item)
		}
	}
	return all
}

// indexKey returns where a key of a mapping is in its Content, or -1.
func indexKey(m *yaml.Node, key string) int {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if k := m.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key {
			return i
		}
	}
	return -1
}

// set gives a key of a mapping its value, in place or at the end. An equal one stays.
func set(m *yaml.Node, key string, value *yaml.Node) {
	i := indexKey(m, key)
	switch {
	case i < 0:
		m.Content = append(m.Content, str(key), value)
	case !equal(m.Content[i+1], value):
		m.Content[i+1] = value
	}
}

// setBefore is set, but puts a new key before others: before the first that is there.
func setBefore(m *yaml.Node, others []string, key string, value *yaml.Node) {
	if indexKey(m, key) < 0 {
		for _, other := range others {
			if i := indexKey(m, other); i >= 0 {
				m.Content = slices.Insert(m.Content, i, str(key), value)
				return
			}
		}
	}
	set(m, key, value)
}

// unset removes a key from a mapping.
func unset(m *yaml.Node, key string) {
	if i := indexKey(m, key); i >= 0 {
		m.Content = slices.Delete(m.Content, i, i+2)
	}
}

// equal tells whether two nodes say the same, however they are written. Keys count in
// any order.
func equal(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.ShortTag() != b.ShortTag() || a.Value != b.Value || a.Anchor != b.Anchor ||
		len(a.Content) != len(b.Content) {
		return false
	}
	if a.Kind != yaml.MappingNode {
		return slices.EqualFunc(a.Content, b.Content, equal)
	}
	for i := 0; i+1 < len(a.Content); i += 2 {
		j := indexKey(b, a.Content[i].Value)
		if j < 0 || !equal(a.Content[i], b.Content[j]) || !equal(a.Content[i+1], b.Content[j+1]) {
			return false
		}
	}
	return true
}

// What follows makes new nodes, which have no position.

func str(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

func boolean(value bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"}
	if value {
		n.Value = "true"
	}
	return n
}

// object makes a mapping of keys and values, a string or a node each.
func object(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			n.Content = append(n.Content, str(p))
		case *yaml.Node:
			n.Content = append(n.Content, p)
		}
	}
	return n
}

func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}
