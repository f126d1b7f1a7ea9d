package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

const held = "podsignal/process: nginx, podsignal/hold: 'true'"

// wantHold says whether podsignal is held: by the variable, the mount and the volume.
func wantHold(t *testing.T, manifest string, want bool) {
	t.Helper()
	c := podsignalIn(t, manifest)
	var hold string
	var paths []string
	if want {
		hold, paths = "/podinfo/approved", []string{"/podinfo"}
	}
	if got := envOf(c)["HOLD"]; got != hold {
		t.Errorf("HOLD is %q, want %q", got, hold)
	}
	if diff := cmp.Diff(append([]string{"/etc/nginx/conf.d"}, paths...), slices.Sorted(slices.Values(mountsIn(c)))); diff != "" {
		t.Errorf("podsignal's mounts, wanted (-) and got (+):\n%s", diff)
	}
	if got := strings.Contains(manifest, "downwardAPI"); got != want {
		t.Errorf("the volume is there: %v, want %v:\n%s", got, want, manifest)
	}
	if diff := cmp.Diff([]string{"/etc/nginx/conf.d"}, mountsIn(containerIn(t, manifest, "nginx"))); diff != "" {
		t.Errorf("the program's mounts, wanted (-) and got (+):\n%s", diff)
	}
}

func TestHold(t *testing.T) {
	tests := []struct {
		name, annotations string
		args              []string
		want              bool
	}{
		{"by an annotation", held, nil, true},
		{"by a flag", "", []string{"--process=nginx", "--hold"}, true},
		{"with a value", "", []string{"--process=nginx", "--hold=true"}, true},
		{"a URL", "podsignal/reload-url: 'http://localhost/', podsignal/hold: 'true'", nil, true},
		{"false", "podsignal/process: nginx, podsignal/hold: 'false'", nil, false},
		{"a flag against an annotation", held, []string{"--hold=false"}, false},
		{"empty", "podsignal/process: nginx, podsignal/hold: ''", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := injected(t, annotated(t, tt.annotations), tt.args...)
			wantHold(t, out, tt.want)
			// FILE stays unset: podsignal leaves out the volume of HOLD.
			if file, set := envOf(podsignalIn(t, out))["FILE"]; set {
				t.Errorf("FILE is %q", file)
			}

			// The same for a podsignal that is there.
			without, _ := injected(t, annotated(t, "podsignal/process: nginx"))
			updated, notes := injected(t, edited(t, without, "annotations: {podsignal/process: nginx}", "annotations: {"+tt.annotations+"}"), tt.args...)
			wantHold(t, updated, tt.want)
			if strings.Contains(notes, "HOLD") {
				t.Errorf("told %q", notes)
			}
		})
	}
}

// Without what asks for it HOLD is taken out again, and so that nobody overlooks it, that is told.
func TestHoldEnds(t *testing.T) {
	with, _ := injected(t, annotated(t, held))
	without, _ := injected(t, annotated(t, "podsignal/process: nginx"))
	tests := []struct {
		name, annotations string
		args              []string
		tells             bool
	}{
		{"no annotation", "podsignal/process: nginx", nil, true},
		{"empty", "podsignal/process: nginx, podsignal/hold: ''", nil, true},
		{"false", "podsignal/process: nginx, podsignal/hold: 'false'", nil, false},
		{"a flag", held, []string{"--hold=false"}, false},
		{"a variable", "podsignal/process: nginx", []string{"--env=HOLD="}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, notes := injected(t, edited(t, with, "{"+held+"}", "{"+tt.annotations+"}"), tt.args...)
			if diff := cmp.Diff(edited(t, without, "{podsignal/process: nginx}", "{"+tt.annotations+"}"), out); diff != "" {
				t.Errorf("printed, wanted (-) and got (+):\n%s", diff)
			}
			const told = "podsignal: Pod/web: HOLD was /podinfo/approved, and is unset now, so that changes need no approval: set --hold, or the annotation podsignal/hold\n"
			if strings.Contains(notes, told) != tt.tells {
				t.Errorf("told %q", notes)
			}
		})
	}

	// Also where podsignal runs in the program's image.
	const validates = "--validate=nginx -t"
	with, _ = injected(t, annotated(t, held), validates)
	out, _ := injected(t, edited(t, with, ", podsignal/hold: 'true'", ""), validates)
	if c := podsignalIn(t, out); envOf(c)["HOLD"] != "" || strings.Contains(out, annotation.HoldVolume) {
		t.Errorf("with --validate it stays:\n%s", out)
	}
	out, _ = injected(t, with)
	wantHold(t, out, true)
}

// HOLD of the user's, with a file of theirs, is not touched.
func TestHoldOfTheUsers(t *testing.T) {
	out, _ := injected(t, web, "--process=nginx", "--env=HOLD=/approvals/list")
	if c := podsignalIn(t, out); envOf(c)["HOLD"] != "/approvals/list" || strings.Contains(out, annotation.HoldVolume) {
		t.Errorf("by --env:\n%s", out)
	}
	out, notes := injected(t, out, "--process=nginx")
	if envOf(podsignalIn(t, out))["HOLD"] != "/approvals/list" || strings.Contains(notes, "HOLD") {
		t.Errorf("again, without --env (told %q):\n%s", notes, out)
	}
	// --env wins over an annotation, and needs no volume.
	with, _ := injected(t, annotated(t, held))
	out, notes = injected(t, with, "--env=HOLD=/approvals/list")
	if envOf(podsignalIn(t, out))["HOLD"] != "/approvals/list" || strings.Contains(out, annotation.HoldVolume) || strings.Contains(notes, "HOLD") {
		t.Errorf("against an annotation (told %q):\n%s", notes, out)
	}
	// An annotation wins over what is there.
	out, _ = injected(t, out)
	wantHold(t, out, true)
}

// What is in the place of the volume is named, with what to do.
func TestHoldConflicts(t *testing.T) {
	const by = "annotation podsignal/hold"
	volumes := "volumes: [{name: conf, configMap: {name: conf}}"
	byHand, _ := injected(t, annotated(t, "podsignal/process: nginx"), "--env=HOLD=/podinfo/approved")
	byHand = edited(t, byHand, "podsignal/process: nginx", held,
		"      readOnly: true\n", "      readOnly: true\n    - {name: podinfo, mountPath: /podinfo}\n",
		volumes, volumes+", {name: podinfo, downwardAPI: {items: []}}")
	tests := []struct {
		name, in string
		args     []string
		want     string
	}{
		{"another volume of that name", edited(t, annotated(t, held), volumes, volumes+", {name: podsignal-hold, emptyDir: {}}"), nil, by + ": the pod has another volume named podsignal-hold: rename that"},
		{
			"other items", edited(t, annotated(t, held), volumes, volumes+", {name: podsignal-hold, downwardAPI: {items: [{path: approved, fieldRef: {fieldPath: metadata.labels}}]}}"), nil,
			by + ": the pod has another volume named podsignal-hold: rename that",
		},
		{"the program's volume there", edited(t, annotated(t, held), "mountPath: /etc/nginx/conf.d", "mountPath: /podinfo/"), nil, by + ": podsignal mounts the volume conf at /podinfo/: use a path without .. and outside of /podinfo"},
		{"below it", edited(t, annotated(t, held), "mountPath: /etc/nginx/conf.d", "mountPath: podinfo/conf"), nil, by + ": podsignal mounts the volume conf at podinfo/conf: use a path without .. and outside of /podinfo"},
		{"one by hand", byHand, nil, by + ": podsignal mounts the volume podinfo at /podinfo: use a path without .. and outside of /podinfo"},
		{
			"what the validator needs", edited(t, annotated(t, held), "conf.d}]", "conf.d}, {name: labels, mountPath: /podinfo}]", volumes, volumes+", {name: labels, downwardAPI: {items: []}}"),
			[]string{"--validate=nginx -t"},
			by + ": podsignal mounts the volume labels at /podinfo: use a path without .. and outside of /podinfo",
		},
		{"FILE", annotated(t, held+", podsignal/file: '/etc/nginx, /podinfo'"), nil, by + ": FILE has /podinfo: use paths without .. and outside of /podinfo"},
		{"FILE is all", web, []string{"--process=nginx", "--hold", "--env=FILE=/"}, "--hold: FILE has /: use paths without .. and outside of /podinfo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _, err := run(tt.in, append(tt.args, image)...)
			if err == nil || err.Error() != "Pod/web: "+tt.want || out != "" {
				t.Errorf("error %v, want %s; printed %q", err, tt.want, out)
			}
		})
	}

	claimed := strings.Replace(ofKind("apps/v1", "StatefulSet", "spec.template", held), "spec:\n", "spec:\n  volumeClaimTemplates: [{metadata: {name: podsignal-hold}}]\n", 1)
	if _, _, err := run(claimed); err == nil || err.Error() != "StatefulSet/web: "+by+": the pod has another volume named podsignal-hold: rename that" {
		t.Errorf("a claim of that name: error %v", err)
	}
	// A path of the program's, at which podsignal mounts nothing, is free.
	out, _ := injected(t, edited(t, annotated(t, held), "conf.d}]", "conf.d}, {name: labels, mountPath: /podinfo}]", volumes, volumes+", {name: labels, downwardAPI: {items: []}}"))
	if diff := cmp.Diff([]string{"/etc/nginx/conf.d", "/podinfo"}, mountsIn(podsignalIn(t, out))); diff != "" {
		t.Errorf("podsignal's mounts, wanted (-) and got (+):\n%s", diff)
	}
}

// A volume of that name that is the user's stays when podsignal is removed.
func TestRemoveHold(t *testing.T) {
	with, _ := injected(t, annotated(t, held))
	out, _, err := run(with, "--remove")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(annotated(t, held), out); diff != "" {
		t.Errorf("printed, wanted (-) and got (+):\n%s", diff)
	}
	theirs := edited(t, web, "volumes: [{name: conf, configMap: {name: conf}}", "volumes: [{name: conf, configMap: {name: conf}}, {name: podsignal-hold, emptyDir: {}}")
	with, _ = injected(t, theirs, "--process=nginx")
	if out, _, err := run(with, "--remove"); err != nil || out != theirs {
		t.Errorf("error %v, printed, wanted (-) and got (+):\n%s", err, cmp.Diff(theirs, out))
	}
}
