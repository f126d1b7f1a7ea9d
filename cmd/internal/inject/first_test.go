package inject

import (
	"strings"
	"testing"
)

// Where processes are shared, no container has process 1: what needs it is told, once.
func TestFirst(t *testing.T) {
	const end = ", which is another one where processes are shared: change it, or use podsignal/reload-url without podsignal/process\n"
	tests := []struct{ name, container, want string }{
		{"a program", "command: [nginx, -g, daemon off;]", ""},
		{"s6-overlay", "command: [/init]", "/init must be process 1"},
		{"tini", "command: [/usr/bin/tini, --, web, -s]", "/usr/bin/tini must be process 1"},
		{"tini that takes care", "command: [tini, -g, -s, --, web]", ""},
		{"systemd", "command: [/lib/systemd/systemd]", "/lib/systemd/systemd must be process 1"},
		{"an argument", "command: [web]\n    args: [/init]", ""},
		{"a hook", "lifecycle: {preStop: {exec: {command: [kill, -QUIT, '1']}}}", "its hook preStop means process 1"},
		{"a hook of a shell", "lifecycle: {postStart: {exec: {command: [sh, -c, 'sleep 5; kill -s HUP 1; true']}}}", "its hook postStart means process 1"},
		{"a command", "command: [sh, -c]\n    args: ['(sleep 60; kill 1) & exec web']", "its command means process 1"},
		{"its output", "command: [sh, -c, 'web >/proc/1/fd/1']", "its command means process 1"},
		{"another process", "command: [sh, -c, 'kill -HUP 12; kill $1; echo 1']", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := edited(t, web, "image: nginx:1.28", "image: nginx:1.28\n    securityContext: {runAsUser: 101}\n    "+tt.container)
			want := ""
			if tt.want != "" {
				want = "podsignal: Pod/web: container nginx: " + tt.want + end
			}
			out, notes := injected(t, in, "--process=nginx")
			if notes != want {
				t.Errorf("told %q, want %q", notes, want)
			}
			if _, notes, _ = run(out, "--process=nginx"); notes != "" {
				t.Errorf("a second time told %q", notes)
			}
			if _, notes = injected(t, in, "--env=RELOAD_URL=http://localhost/"); strings.Contains(notes, "process 1") {
				t.Errorf("told %q, although no processes are shared", notes)
			}
		})
	}
}
