package inject

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What inject has added, --remove takes out again, to the byte.
func TestRemove(t *testing.T) {
	others := map[string]string{
		"daemonset": "processes were not to be shared",
		"jobs":      "there was an empty list of init containers",
		"validate":  "other containers may need that processes are shared",
	}
	for _, file := range inputs(t) {
		name, ext, _ := strings.Cut(filepath.Base(file), ".in")
		in := read(t, file)
		golden := read(t, filepath.Join("testdata", name+".golden"+ext))
		if golden == "" || podsignalIn(t, in) != nil || others[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			out, _, err := run(golden, "--remove")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(in, out); diff != "" {
				t.Errorf("it was (-) and is (+):\n%s", diff)
			}
		})
	}
}

func TestRemoveFrom(t *testing.T) {
	const asks = "annotations: {podsignal/process: nginx}"
	with, _ := injected(t, edited(t, web, "annotations: {}", asks), "--validate=nginx -t")
	tests := []struct{ name, in, want, notes string }{
		{
			"its annotation stays", with, edited(t, web, "annotations: {}", asks),
			"podsignal: Pod/web: podsignal/process stays, and asks for podsignal again: remove it too\n",
		},
		{
			"other containers share processes",
			edited(t, with, asks, "annotations: {}", "  containers:", "  containers:\n  - {name: other}"),
			edited(t, web, "  containers:", "  shareProcessNamespace: true\n  containers:\n  - {name: other}"),
			"podsignal: Pod/web: shareProcessNamespace stays true, since its other containers may need it: remove it if they do not\n",
		},
		{"another kind", ofKind("argoproj.io/v1alpha1", "Rollout", "spec.template", ""), ofKind("argoproj.io/v1alpha1", "Rollout", "spec.template", ""), ""},
		{"nothing to remove", web, web, ""},
		{"empty input", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, notes, err := run(tt.in, "--remove")
			if err != nil || notes != tt.notes {
				t.Errorf("error %v, told %q, want %q", err, notes, tt.notes)
			}
			if diff := cmp.Diff(tt.want, out); diff != "" {
				t.Errorf("printed, wanted (-) and got (+):\n%s", diff)
			}
		})
	}
	rollout, _ := injected(t, ofKind("argoproj.io/v1alpha1", "Rollout", "spec.template", "podsignal/process: nginx"))
	if out, _, err := run(rollout, "--remove"); err != nil || podsignalIn(t, out) != nil || !strings.Contains(out, "Rollout") {
		t.Errorf("error %v:\n%s", err, out)
	}
}
