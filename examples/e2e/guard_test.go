package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
			"E2E_NGINX_IMAGE=registry/nginx:2", "E2E_UNPRIVILEGED_IMAGE=registry/unprivileged:3", "E2E_HAPROXY_IMAGE=registry/haproxy:4",
			"E2E_PGBOUNCER_IMAGE=registry/pgbouncer:5", "E2E_SHELL_IMAGE=registry/shell:6")
		if r.err == nil || !strings.Contains(r.said, "apply is not allowed") {
			t.Fatalf("it does not say why it has failed (%v):\n%s", r.err, r.said)
		}
		manifests, err := filepath.Glob(filepath.Join(r.notes, "applied.*"))
		if failed := strings.Count(r.said, "--- FAIL: TestE2E/"); err != nil || failed == 0 || len(manifests) != failed {
			t.Fatalf("%d manifests were applied by %d cases (%v)", len(manifests), failed, err)
		}
		whose := make(map[string]string) // the manifest of each object: cases run side by side
		for _, path := range manifests {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(content) == 0 {
				continue // kubectl apply -k
			}
			for _, key := range wantManifest(t, content) {
				if other, ok := whose[key]; ok {
					t.Errorf("%s is in two manifests, %s and %s", key, other, path)
				}
				whose[key] = path
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

// wantManifest checks images and labels, and returns the objects in it, by kind and name.
func wantManifest(t *testing.T, content []byte) (keys []string) {
	t.Helper()
	images := regexp.MustCompile(`"image":"([^"]*)"`).FindAllSubmatch(content, -1)
	for _, image := range images {
		if !bytes.HasPrefix(image[1], []byte("registry/")) {
			t.Errorf("the image %s is not that of its variable", image[1])
		}
	}
	if policies := bytes.Count(content, []byte(`"imagePullPolicy":"Never"`)); len(images) == 0 || policies != len(images) {
		t.Errorf("%d images and %d times the policy Never:\n%s", len(images), policies, content)
	}
	var list struct {
		Items []struct {
			Kind     string
			Metadata struct {
				Name   string
				Labels map[string]string
			}
		}
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		if label := item.Metadata.Labels["app.kubernetes.io/name"]; label == "" || !strings.HasPrefix(item.Metadata.Name, label) {
			t.Errorf("%s %s has the label %q", item.Kind, item.Metadata.Name, label)
		}
		keys = append(keys, item.Kind+"/"+item.Metadata.Name)
	}
	return keys
}

// runE2E runs TestE2E with that environment and the stand-in for kubectl.
func runE2E(t *testing.T, program string, env ...string) run {
	t.Helper()
	r := run{notes: t.TempDir()}
	if err := os.WriteFile(filepath.Join(r.notes, "kubectl"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestE2E$", "-test.v")
	cmd.Env = slices.Concat(env, []string{"HOME=" + os.Getenv("HOME"), "NOTES=" + r.notes, "PATH=" + r.notes + ":" + os.Getenv("PATH")})
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
