package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// byteOrderMark begins some files of UTF-8.
var byteOrderMark = []byte("\ufeff")

// parse returns the documents in src. Errors have the line.
func parse(src []byte) (docs []*yaml.Node, err error) {
	// The parser has panics of its own, for what it thinks cannot happen.
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	for {
		doc := new(yaml.Node)
		if err := decoder.Decode(doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
}

// readInput is parse for the input, which may be the template of a manifest.
func readInput(body []byte) ([]*yaml.Node, error) {
	docs, err := parse(body)
	if err != nil {
		if isTemplate(body, err) {
			err = fmt.Errorf("this looks like a Helm template: render it first, as helm template does (%w)", err)
		}
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	for _, doc := range docs {
		if line := templateLine(doc); line > 0 {
			return nil, fmt.Errorf("reading standard input: line %d: this looks like a Helm template: render it first, as helm template does", line)
		}
	}
	return docs, nil
}

// isTemplate tells whether an error of the parser is due to actions of a template: there are
// some about the line that it names, or at the beginning of lines, where strings do not reach.
func isTemplate(body []byte, err error) bool {
	if regexp.MustCompile(`(?m)^\{\{`).Match(body) {
		return true
	}
	found := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error())
	if found == nil {
		return false
	}
	at, _ := strconv.Atoi(found[1]) // digits
	lines := bytes.Split(body, []byte("\n"))
	from, to := max(at-2, 0), min(at+1, len(lines)) // the parser may count one too many or too few
	return from < to && bytes.Contains(bytes.Join(lines[from:to], nil), []byte("{{"))
}

// templateLine is where a node has an action of a template that is YAML too: {{ .Name }} is a
// mapping whose key is a mapping. It is 0 if there is none.
func templateLine(n *yaml.Node) int {
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 {
		key := n.Content[0]
		if key.Kind == yaml.MappingNode && key.Line == n.Line && key.Column == n.Column+1 {
			return n.Line
		}
	}
	for _, child := range n.Content {
		if line := templateLine(child); line > 0 {
			return line
		}
	}
	return 0
}

// duplicates is an error with a line for each key that a mapping in n has twice: programs
// that read it take one or the other.
func duplicates(n *yaml.Node) error {
	var errs []error
	if n.Kind == yaml.MappingNode {
		lines := make(map[string]int)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if line := lines[key.Value]; key.Kind == yaml.ScalarNode && line > 0 {
				errs = append(errs, fmt.Errorf("line %d: the key %s is in line %d already: remove one of them", key.Line, key.Value, line))
			}
			lines[key.Value] = key.Line
		}
	}
	for _, child := range n.Content {
		errs = append(errs, duplicates(child))
	}
	return errors.Join(errs...)
}
