package inject

import (
	"strings"
	"testing"
)

// podsignal has the uid that the manifest names, or else root's with the capability KILL.
func TestUID(t *testing.T) {
	const none, kill = `{drop: [ALL]}`, `{add: [KILL], drop: [ALL]}`
	tests := []struct {
		name, container, pod, own string // security contexts; own is that of a podsignal that is there
		args                      []string
		uid, nonRoot, gid         string // wanted
		capabilities              string
	}{
		{"none named", "", "", "", nil, "0", "false", "", kill},
		{"with a group", "{runAsGroup: 5}", "", "", nil, "0", "false", "5", kill},
		{"of the container", "{runAsUser: 101, runAsGroup: 102}", "{runAsUser: 7}", "", nil, "101", "true", "102", none},
		{"root", "{runAsUser: 0}", "", "", nil, "0", "false", "", none},
		{"of the pod", "", "{runAsUser: 7}", "", nil, "", "true", "", none},
		{"root of the pod", "", "{runAsUser: 0}", "", nil, "", "false", "", none},
		{"no root, with a uid", "{runAsNonRoot: true}", "{runAsUser: 7}", "", nil, "", "true", "", none},
		{"no root but for the container", "{runAsNonRoot: false}", "{runAsNonRoot: true}", "", nil, "0", "false", "", kill},
		{"by a flag", "{runAsUser: 101}", "", "", []string{"--uid=999"}, "999", "true", "", none},
		{"root by a flag", "", "", "", []string{"--uid=0"}, "0", "false", "", none},
		{"no root, by a flag", "", "{runAsNonRoot: true}", "", []string{"--uid=999"}, "999", "true", "", none},
		{"keep", "", "{runAsNonRoot: true}", "", []string{"--uid=keep"}, "", "true", "", none},
		{"keep, where one is named", "{runAsUser: 101}", "", "", []string{"--uid=keep"}, "", "true", "", none},
		{"keep, from another", "", "", "{runAsUser: 0, capabilities: {add: [KILL]}}", []string{"--uid=keep"}, "", "true", "", none},
		{"kept before", "", "", "{runAsNonRoot: true}", nil, "", "true", "", none},
		{"podsignal's own", "", "", "{runAsUser: 999, runAsGroup: 9}", nil, "999", "true", "9", none},
		{"podsignal's own, no root", "", "{runAsNonRoot: true}", "{runAsUser: 999}", nil, "999", "true", "", none},
		{"podsignal's own, root", "", "", "{runAsUser: 0, capabilities: {drop: [ALL]}}", nil, "0", "false", "", none},
		{"podsignal's own, root with KILL", "", "", "{runAsUser: 0, capabilities: {drop: [ALL], add: [KILL]}}", nil, "0", "false", "", "{drop: [ALL], add: [KILL]}"},
		{"named since then", "{runAsUser: 101}", "", "{runAsUser: 0, capabilities: {drop: [ALL], add: [KILL]}}", nil, "101", "true", "", none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := web
			if tt.pod != "" {
				in = edited(t, in, "spec:", "spec:\n  securityContext: "+tt.pod)
			}
			if tt.container != "" {
				in = edited(t, in, "image: nginx:1.28", "image: nginx:1.28\n    securityContext: "+tt.container)
			}
			if tt.own != "" {
				in = edited(t, in, "spec:", "spec:\n  shareProcessNamespace: true\n  initContainers: [{name: podsignal, image: a.example/b, securityContext: "+tt.own+"}]")
			}
			out, notes := injected(t, in, append(tt.args, "--process=nginx")...)
			security := lookup(podsignalIn(t, out), "securityContext")
			for key, want := range map[string]string{
				"runAsUser": tt.uid, "runAsNonRoot": tt.nonRoot, "runAsGroup": tt.gid, "capabilities": tt.capabilities,
				"allowPrivilegeEscalation": "false", "readOnlyRootFilesystem": "true",
			} {
				if got := written(security, key); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			// The capability is told when it is added.
			added := tt.capabilities == kill && tt.own == ""
			if told := strings.Contains(notes, "Pod/web: container nginx has no runAsUser, so podsignal runs as root with the capability KILL: set podsignal/uid"); told != added {
				t.Errorf("told %q", notes)
			}
		})
	}
}

// Without a uid where root is forbidden, nothing is changed, and the others are.
func TestNonRootWithoutUID(t *testing.T) {
	in := edited(t, web, "spec:", "spec:\n  securityContext: {runAsNonRoot: true}") + "---\n" + edited(t, web, "name: web", "name: other")
	out, notes := injected(t, in, "--process=nginx")
	before, _, _ := strings.Cut(out, "---")
	if strings.Contains(before, "podsignal") || podsignalIn(t, out) == nil {
		t.Errorf("printed:\n%s", out)
	}
	if !strings.Contains(notes, "Pod/web (v1): not changed: container nginx has runAsNonRoot but no runAsUser") || !strings.Contains(notes, "set podsignal/uid") {
		t.Errorf("told %q", notes)
	}
}
