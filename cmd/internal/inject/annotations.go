package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

// annotations returns those of the workload, or of its pod template.
func (w workload) annotations() []*yaml.Node {
	return []*yaml.Node{
		lookup(w.object, "metadata", "annotations"),
		lookup(lookup(w.object, w.pod...), "metadata", "annotations"),
	}
}

// annotation returns the value of an annotation of the workload, or else of its pod template.
func (w workload) annotation(a *annotation.Annotation) string {
	for _, all := range w.annotations() {
		if value := strings.TrimSpace(text(all, a.Key())); value != "" {
			return value
		}
	}
	return ""
}

// annotated returns the first annotation that asks for podsignal, or nil.
func (w workload) annotated() *annotation.Annotation {
	for i := range annotation.All {
		a := &annotation.All[i]
		if v := (variable{name: a.Variable, value: w.annotation(a)}); v.asks() {
			return a
		}
	}
	return nil
}

// unheeded says of which annotations nothing comes: those that are not known, and without one
// that asks for podsignal the others.
func (w workload) unheeded(asked bool) (remarks []string) {
	var known, idle, told []string
	for i := range annotation.All {
		known = append(known, annotation.All[i].Key())
	}
	for _, all := range w.annotations() {
		if all == nil || all.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(all.Content); i += 2 {
			key := all.Content[i].Value
			name, ours := strings.CutPrefix(key, annotation.Prefix)
			switch {
			case !ours, slices.Contains(annotation.Reserved, name), slices.Contains(told, name):
				continue
			case slices.Contains(known, key):
				idle = append(idle, key)
			default:
				all := "known are " + names(known, "and")
				remarks = append(remarks, "unknown annotation "+key+meant(key, known, all))
			}
			told = append(told, name)
		}
	}
	if len(idle) > 0 && !asked {
		remarks = append(remarks, fmt.Sprintf("not changed: it has %s, but neither podsignal/process nor podsignal/reload-url", names(idle, "and")))
	}
	return remarks
}
