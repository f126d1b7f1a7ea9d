package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// standIn takes the place of kubectl. It notes what it is asked for, reaches a cluster
// unless $REFUSAL is set, finds nothing there, and may not apply anything.
const standIn = `#!/bin/sh
echo "$*" >>"$NOTES/asked"
case "$*" in
"get --raw "*) [ -z "$REFUSAL" ] || { echo "$REFUSAL" >&2; exit 1; } ;;
*" apply "*) cat >"$NOTES/applied.$$"; echo "apply is not allowed" >&2; exit 1 ;;
esac
`

// A run is one of TestE2E against the stand-in.
type run struct {
	err   error
	said  string
	asked []string // kubectl, line by line
	notes string   // the folder of them
}

func TestWithoutCluster(t *testing.T) {
	program := filepath.Join(t.TempDir(), "e2e")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "e2e", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}

	tests := []struct {
		name string
		env  []string
		skip bool
		want string
	}{
		{"there is none", []string{"E2E_NAMESPACE=e2e", "REFUSAL=localhost:8080 was refused"}, true, "localhost:8080 was refused"},
		{"it does not let us in", []string{"E2E_NAMESPACE=e2e", "REFUSAL=error: (Unauthorized)"}, false, "(Unauthorized)"},
		{"no namespace is given", nil, false, "set E2E_NAMESPACE"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := runE2E(t, program, test.env...)
			if skipped := strings.Contains(r.said, "--- SKIP: TestE2E"); skipped != test.skip || (r.err == nil) != test.skip {
				t.Errorf("skipped: %v, want %v (%v)", skipped, test.skip, r.err)
			}
			if !strings.Contains(r.said, test.want) {
				t.Errorf("no %q in what it says:\n%s", test.want, r.said)
			}
			if want := []string{"get --raw /version --request-timeout=10s"}; !slices.Equal(r.asked, want) {
				t.Errorf("kubectl was asked for %q, want only %q", r.asked, want)
			}
		})
	}

	t.Run("what is applied and deleted", func(t *testing.T) {
		r := runE2E(t, program, "E2E_NAMESPACE=e2e", "E2E_PULL_POLICY=Never", "E2E_PODSIGNAL_IMAGE=registry/podsignal:1",
			"E2E_NGINX_IMAGE=registry/nginx:2", "E2E_SHELL_IMAGE=registry/shell:3")
		if r.err == nil || !strings.Contains(r.said, "apply is not allowed") {
			t.Fatalf("it does not say why it has failed (%v):\n%s", r.err, r.said)
		}
		manifests, err := filepath.Glob(filepath.Join(r.notes, "applied.*"))
		if err != nil || len(manifests) != 3 {
			t.Fatalf("%d manifests were applied, want nginx twice and restart-in-place (%v)", len(manifests), err)
		}
		var applied strings.Builder
		for _, manifest := range manifests {
			content, err := os.ReadFile(manifest)
			if err != nil {
				t.Fatal(err)
			}
			applied.Write(content)
		}
		for want, count := range map[string]int{
			`"image":`:                             6,
			`"image":"registry/podsignal:1"`:       3,
			`"image":"registry/nginx:2"`:           2,
			`"image":"registry/shell:3"`:           1,
			`"imagePullPolicy":"Never"`:            6,
			`"kind":"ConfigMap"`:                   2,
			`"configMap":{"name":`:                 2,
			`"kind":"Secret"`:                      1,
			`"secret":{"secretName":"nginx-conf"}`: 1,
		} {
			if got := strings.Count(applied.String(), want); got != count {
				t.Errorf("%d times %s in what is applied, want %d:\n%s", got, want, count, applied.String())
			}
		}

		created := slices.Index(r.asked, "--namespace e2e create namespace e2e")
		deleted := slices.Index(r.asked, "--namespace e2e delete namespace e2e --timeout=2m")
		if created < 0 || deleted != len(r.asked)-1 {
			t.Errorf("the namespace is not deleted at the end:\n%s", strings.Join(r.asked, "\n"))
		}
		for _, want := range []string{"delete -f -", "get events", "logs --selector", "--previous"} {
			if !slices.ContainsFunc(r.asked, func(line string) bool { return strings.Contains(line, want) }) {
				t.Errorf("kubectl was never asked to %s:\n%s", want, strings.Join(r.asked, "\n"))
			}
		}
	})
}

// runE2E runs TestE2E with that environment and the stand-in for kubectl.
func runE2E(t *testing.T, program string, env ...string) run {
	t.Helper()
	r := run{notes: t.TempDir()}
	if err := os.WriteFile(filepath.Join(r.notes, "kubectl"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestE2E$", "-test.v")
	cmd.Env = slices.Concat(env, []string{"NOTES=" + r.notes, "PATH=" + r.notes + ":" + os.Getenv("PATH")})
	var said []byte
	said, r.err = cmd.CombinedOutput()
	r.said = string(said)
	asked, err := os.ReadFile(filepath.Join(r.notes, "asked"))
	if err != nil {
		t.Fatalf("kubectl was not asked for anything: %v\n%s", err, said)
	}
	r.asked = strings.Split(strings.TrimSpace(string(asked)), "\n")
	return r
}
