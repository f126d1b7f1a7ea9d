package inject

import (
	"strings"
	"testing"
)

// A chart's template is told from a manifest that is broken otherwise.
func TestTemplate(t *testing.T) {
	const hint = "this looks like a Helm template: render it first, as helm template does"
	const rules = "kind: ConfigMap\ndata:\n  rule: |\n    {{ range .Alerts }}\n    {{ end }}\n"
	tests := []struct {
		name, in string
		want     bool
	}{
		{"an action in its own line", "{{- if .Values.web }}\n" + web + "{{- end }}\n", true},
		{"as a value", edited(t, web, "name: web", "name: {{ .Release.Name }}-web"), true},
		{"as a value alone", edited(t, web, "name: web", "name: {{ .Release.Name }}"), true},
		{"indented", edited(t, web, "annotations: {}", "annotations:\n    {{- toYaml .Values.annotations | nindent 4 }}"), true},
		{"in the text of a ConfigMap, and broken elsewhere", rules + "---\nkind: Pod\nmetadata:\n  labels: a: b\n", false},
		{"broken", "kind: Pod\nmetadata:\n  labels: a: b\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, args := range [][]string{nil, {"--process=nginx"}} {
				_, _, err := run(tt.in, args...)
				if err == nil || strings.Contains(err.Error(), hint) != tt.want {
					t.Errorf("error %v, a template: %v", err, tt.want)
				}
			}
		})
	}
	if _, _, err := run(rules + "  name: '{{ .Name }}'\n"); err != nil {
		t.Errorf("in strings alone: %v", err)
	}
}

// A key that is there twice is refused where something is to be changed.
func TestDuplicates(t *testing.T) {
	in := edited(t, web, "    image: nginx:1.28\n", "    image: nginx:1.28\n    image: nginx:1.29\n", "spec:", "kind: Pod\nspec:")
	_, _, err := run(in, "--process=nginx")
	want := "Pod/web: line 6: the key kind is in line 2 already: remove one of them\nline 11: the key image is in line 10 already: remove one of them"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	other := "kind: ConfigMap\napiVersion: v1\ndata: {a: x, a: y}\n---\n"
	if out, _ := injected(t, other+web, "--process=nginx"); !strings.HasPrefix(out, other) {
		t.Errorf("printed:\n%s", out)
	}
}
