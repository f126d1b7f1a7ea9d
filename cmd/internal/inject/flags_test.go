package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// --env sets any variable of podsignal, also those that no annotation has.
func TestEnv(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want map[string]string
	}{
		{"one", []string{"--process=nginx", "--env", "DEBOUNCE=1s"}, map[string]string{"PROCESS": "nginx", "DEBOUNCE": "1s"}},
		{"a secret, and one with =", []string{"--process=nginx", "--env=NOTIFY_URL=https://hooks.example/?a=b"}, map[string]string{"PROCESS": "nginx", "NOTIFY_URL": "https://hooks.example/?a=b"}},
		{"in the place of a flag", []string{"--env", "PROCESS=haproxy"}, map[string]string{"PROCESS": "haproxy", "SIGNAL": "USR2"}},
		{"rules", []string{"--env", "RULES=web,my-pool", "--env", "WEB_PROCESS=nginx", "--env", "MY_POOL_PROCESS=pgbouncer"}, map[string]string{"RULES": "web,my-pool", "WEB_PROCESS": "nginx", "MY_POOL_PROCESS": "pgbouncer"}},
		{"a dollar", []string{"--env", "PROCESS=nginx", "--env", "CMDLINE=a$(b)$"}, map[string]string{"PROCESS": "nginx", "CMDLINE": "a$$(b)$$"}},
		{"without a value", []string{"--process=nginx", "--env", "SIGNAL="}, map[string]string{"PROCESS": "nginx"}},
		{"a URL of another host", []string{"--env", "RELOAD_URL=https://web.example/reload"}, map[string]string{"RELOAD_URL": "https://web.example/reload"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := injected(t, web, tt.args...)
			if diff := cmp.Diff(tt.want, envOf(podsignalIn(t, out))); diff != "" {
				t.Errorf("variables, wanted (-) and got (+):\n%s", diff)
			}
			if sees := strings.Contains(strings.Join(tt.args, " "), "PROCESS") || tt.args[0] == "--process=nginx"; strings.Contains(out, "shareProcessNamespace: true") != sees {
				t.Errorf("processes shared: %v, want %v", !sees, sees)
			}
		})
	}
	// What asks may be another than the annotation says, or nothing.
	asking := annotated(t, "podsignal/process: nginx")
	if out, notes := injected(t, asking, "--env=PROCESS="); out != asking || notes != "podsignal: Pod/web (v1): not changed: --env unsets what asks for podsignal\n" {
		t.Errorf("told %q, printed:\n%s", notes, out)
	}
	out, _ := injected(t, asking, "--env=PROCESS=", "--env=RELOAD_URL=http://localhost/")
	if diff := cmp.Diff(map[string]string{"RELOAD_URL": "http://localhost/"}, envOf(podsignalIn(t, out))); diff != "" {
		t.Errorf("variables, wanted (-) and got (+):\n%s", diff)
	}
	// It wins over an annotation, and an empty one unsets what podsignal has.
	out, _ = injected(t, annotated(t, "podsignal/process: nginx, podsignal/splay: 5m"), "--env=SPLAY=1m")
	if got := envOf(podsignalIn(t, out))["SPLAY"]; got != "1m" {
		t.Errorf("SPLAY is %q, want 1m", got)
	}
	out, _ = injected(t, edited(t, out, ", podsignal/splay: 5m", ""), "--env=SPLAY=")
	if diff := cmp.Diff(map[string]string{"PROCESS": "nginx"}, envOf(podsignalIn(t, out))); diff != "" {
		t.Errorf("variables, wanted (-) and got (+):\n%s", diff)
	}
}

func TestBadFlags(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--process=a", "--env=DEBOUNCE"}, `invalid value "DEBOUNCE" for flag -env: use NAME=VALUE: see podsignal inject --help`},
		{[]string{"--process=a", "--env=DEBOUNSE=1s"}, "--env DEBOUNSE is not a variable of podsignal: did you mean DEBOUNCE? (see podsignal --help)"},
		{[]string{"--process=a", "--env=min-interval=1s"}, "--env min-interval is not a variable of podsignal: did you mean MIN_INTERVAL? (see podsignal --help)"},
		{[]string{"--process=a", "--env=HTTPS_PROXY=http://proxy.example", "--env=WEB_PROCESS=b"}, "--env HTTPS_PROXY is not a variable of podsignal: see podsignal --help\n--env WEB_PROCESS is not a variable of podsignal: see podsignal --help"},
		{[]string{"--process=a", "--env=PROCESS=b"}, "--env PROCESS and --process set the same: use one of them"},
		{[]string{"--process=a", "--env=SPLAY=1s", "--env=SPLAY=2s"}, "--env SPLAY is given twice: give it once"},
		{[]string{"--process=a", "--env=SIGNAL=HUPP"}, `Pod/web: --env SIGNAL="HUPP" is not a valid signal: use a name such as HUP, USR1, USR2, QUIT or TERM, or a number from 1 to 64`},
		{[]string{"--process=a", "--uid=root"}, `Pod/web: --uid="root" is not valid: use a number, such as 101, or keep`},
		{[]string{"--process=a", "--listen=127.0.0.1:9533"}, `Pod/web: --listen="127.0.0.1:9533" is not valid: use a port, such as 9533`},
		{[]string{"--process=a", "--image=a b"}, `Pod/web: --image="a b" is not valid: use an image, such as podsignal:0.1.0`},
		{[]string{"--remove", "--process=a"}, "--remove takes podsignal out of all that have it: use it without other flags"},
		{[]string{"--uid=101"}, "--process is required, or the annotation podsignal/process on a workload: the command name, such as nginx"},
	}
	for _, tt := range tests {
		out, _, err := run(web, tt.args...)
		if err == nil || err.Error() != tt.want || !isA[UsageError](err) || out != "" {
			t.Errorf("%q: error %v, want %s", tt.args, err, tt.want)
		}
	}
}

// --listen sets LISTEN, and has the kubelet ask for /healthz there.
func TestListen(t *testing.T) {
	const port, probe = "[{name: podsignal, containerPort: 9533}]", "{httpGet: {path: /healthz, port: podsignal}, timeoutSeconds: 5}"
	for _, args := range [][]string{{"--listen", "9533"}, {"--listen", ":9533"}, {"--listen=9533", "--validate=nginx -t"}} {
		out, _ := injected(t, web, append(args, "--process=nginx")...)
		c := podsignalIn(t, out)
		if got := strings.TrimPrefix(envOf(c)["LISTEN"], ":"); got != "9533" || written(c, "ports") != port || written(c, "livenessProbe") != probe {
			t.Errorf("%q: LISTEN is %s:\n%s", args, got, out)
		}
	}
	without, _ := injected(t, web, "--process=nginx")
	with, _ := injected(t, without, "--process=nginx", "--listen=9533")
	if c := podsignalIn(t, with); written(c, "ports") != port || written(c, "livenessProbe") != probe {
		t.Errorf("for one that is there:\n%s", with)
	}
	// Another port, and a probe of the user's.
	with = edited(t, with, "timeoutSeconds: 5", "timeoutSeconds: 7")
	out, _ := injected(t, with, "--process=nginx", "--listen=9600")
	if c := podsignalIn(t, out); written(c, "ports") != strings.Replace(port, "9533", "9600", 1) || written(c, "livenessProbe") != strings.Replace(probe, "5", "7", 1) {
		t.Errorf("with another port:\n%s", out)
	}
	// A port of another container.
	taken := edited(t, web, "image: nginx:1.28", "image: nginx:1.28\n    ports: [{containerPort: 9533}]")
	if _, _, err := run(taken, "--process=nginx", "--listen=:9533"); err == nil || err.Error() != `Pod/web: --listen=":9533": container nginx has that port: use another` {
		t.Errorf("error %v", err)
	}
	// LISTEN by --env is the variable and no more.
	out, _ = injected(t, web, "--process=nginx", "--env=LISTEN=127.0.0.1:9533")
	if c := podsignalIn(t, out); written(c, "ports") != "" || envOf(c)["LISTEN"] != "127.0.0.1:9533" {
		t.Errorf("by --env:\n%s", out)
	}
}

func TestContainer(t *testing.T) {
	in := edited(t, web, "  volumes:", "  - name: exporter\n    volumeMounts: [{name: conf, mountPath: /conf}]\n  volumes:")
	for _, way := range []struct {
		in   string
		args []string
	}{
		{in, []string{"--process=nginx", "--container=exporter"}},
		{edited(t, in, "annotations: {}", "annotations: {podsignal/process: nginx, podsignal/container: exporter}"), nil},
	} {
		out, _ := injected(t, way.in, way.args...)
		if diff := cmp.Diff([]string{"/conf"}, mountsIn(podsignalIn(t, out))); diff != "" {
			t.Errorf("mounts, wanted (-) and got (+):\n%s", diff)
		}
	}
	_, _, err := run(edited(t, in, "annotations: {}", "annotations: {podsignal/process: nginx, podsignal/container: other}"))
	if want := `Pod/web: annotation podsignal/container="other" is not a container of this pod that mounts the volumes: use nginx or exporter`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// An image that no registry has by its name is told once, when it is set.
func TestImage(t *testing.T) {
	two := web + "---\n" + edited(t, web, "name: web", "name: other")
	tests := []struct {
		args []string
		want string
	}{
		{nil, "podsignal:0.1.0"},
		{[]string{"--image=podsignal:dev"}, "podsignal:dev"},
		{[]string{"--image=team/podsignal"}, "team/podsignal"},
		{[]string{"--image=podsignal:dev", "--validate=nginx -t"}, "podsignal:dev"},
		{[]string{"--image=localhost/podsignal"}, ""},
		{[]string{"--image=registry.example/podsignal"}, ""},
		{[]string{"--image=registry:5000/podsignal"}, ""},
	}
	for _, tt := range tests {
		args := slices.Concat(tt.args, []string{"--process=nginx", "--uid=101"})
		out, notes, err := run(two, args...)
		want := ""
		if tt.want != "" {
			want = "podsignal: the image " + tt.want + " names no registry: unless the nodes have it, set podsignal/image, or --image, to one that they can pull\n"
		}
		if err != nil || notes != want {
			t.Errorf("%q: error %v, told %q, want %q", tt.args, err, notes, want)
		}
		if _, notes, err := run(out, args...); err != nil || notes != "" {
			t.Errorf("%q: a second time: error %v, told %q", tt.args, err, notes)
		}
	}
}
