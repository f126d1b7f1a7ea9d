//go:build helm

// Package helm_test has Helm itself say what it would install of a chart, with podsignal inject
// for its post-renderer. HELM is the program, of version 3 or 4. It asks kubectl's present cluster
// for its version and kinds, and changes nothing there.
package helm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const chart = "testdata/chart"

// A helm is the program, with podsignal for its post-renderer.
type helm struct {
	*testing.T
	program, podsignal string
	four               bool // version 4, whose post-renderers are plugins
	env                []string
}

func newHelm(t *testing.T) *helm {
	t.Helper()
	dir := t.TempDir()
	h := &helm{T: t, program: os.Getenv("HELM"), podsignal: filepath.Join(dir, "bin/podsignal")}
	if h.program == "" {
		t.Fatal("HELM is not set: set it to the program helm")
	}
	if out, err := exec.Command("go", "build", "-o", h.podsignal, "../../cmd/podsignal").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.env = append(os.Environ(), "PATH="+filepath.Dir(h.podsignal)+":"+os.Getenv("PATH"), "HELM_PLUGINS="+filepath.Join(dir, "plugins"),
		"HELM_CACHE_HOME="+dir, "HELM_CONFIG_HOME="+dir, "HELM_DATA_HOME="+dir)
	version, err := h.run(nil, h.program, "version", "--template", "{{.Version}}")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(version)
	if h.four = strings.HasPrefix(version, "v4."); h.four {
		if err := os.CopyFS(filepath.Join(dir, "plugins/podsignal"), os.DirFS("plugin")); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// in is the same for a subtest, which is the one to fail.
func (h helm) in(t *testing.T) *helm {
	h.T = t
	return &h
}

// run returns what a command prints.
func (h *helm) run(stdin []byte, command ...string) (string, error) {
	cmd := exec.CommandContext(h.Context(), command[0], command[1:]...)
	cmd.Env, cmd.Stdin = h.env, bytes.NewReader(stdin)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(string(exit.Stderr))
	}
	return string(out), err
}

// postRenderer are the flags for podsignal inject with flags of its own, as README.md has them.
func (h *helm) postRenderer(flags ...string) (all []string) {
	all = []string{"--post-renderer", "podsignal"}
	if !h.four {
		flags = append([]string{"inject"}, flags...)
	}
	for _, flag := range flags {
		all = append(all, "--post-renderer-args", flag)
	}
	return all
}

// A release is what Helm would install: the objects, and the hooks, by kind and name.
type release struct{ objects, hooks map[string]object }

type object = map[string]any

// install has Helm say what it would install.
func (h *helm) install(flags ...string) (release, error) {
	out, err := h.run(nil, append([]string{h.program, "install", "web", chart, "--dry-run=client", "-o", "json"}, flags...)...)
	if err != nil {
		return release{}, err
	}
	var said struct {
		Manifest string
		Hooks    []struct{ Manifest string }
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		h.Fatalf("%v in %s", err, out)
	}
	r := release{h.read(said.Manifest), make(map[string]object)}
	for _, hook := range said.Hooks {
		for name, o := range h.read(hook.Manifest) {
			r.hooks[name] = o
		}
	}
	return r, nil
}

func (h *helm) mustInstall(flags ...string) release {
	h.Helper()
	r, err := h.install(flags...)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// read returns the objects of manifests.
func (h *helm) read(manifests string) map[string]object {
	h.Helper()
	all := make(map[string]object)
	for decoder := yaml.NewDecoder(strings.NewReader(manifests)); ; {
		var o object
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			h.Fatalf("%v in:\n%s", err, manifests)
		}
		if o != nil {
			all[o["kind"].(string)+"/"+o["metadata"].(object)["name"].(string)] = o
		}
	}
}

// sidecar returns podsignal's container in a workload, or nil.
func sidecar(workload object) object {
	pod := workload["spec"].(object)["template"].(object)["spec"].(object)
	inits, _ := pod["initContainers"].([]any)
	i := slices.IndexFunc(inits, func(c any) bool { return c.(object)["name"] == "podsignal" })
	if i < 0 || pod["shareProcessNamespace"] != true {
		return nil
	}
	return inits[i].(object)
}

// ask is the annotation, as a value of the chart.
var ask = []string{"--set", `podAnnotations.podsignal/process=nginx`}

func TestPostRenderer(t *testing.T) {
	h := newHelm(t)
	plain := h.mustInstall()
	annotated := h.mustInstall(ask...)

	t.Run("a chart that does not ask stays as it is", func(t *testing.T) {
		h := h.in(t)
		got := h.mustInstall(h.postRenderer()...)
		if diff := cmp.Diff(plain.objects, got.objects); diff != "" {
			t.Error(diff)
		}
	})
	for name, flags := range map[string][]string{
		"annotation": append(h.postRenderer("--image", "podsignal:test"), ask...),
		"flags":      h.postRenderer("--process", "nginx", "--image", "podsignal:test"),
	} {
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			before, input := plain, []string{h.program, "template", "web", chart, "--no-hooks"}
			inject := []string{h.podsignal, "inject", "--image", "podsignal:test"}
			if name == "annotation" {
				before, input = annotated, append(input, ask...)
			} else {
				inject = append(inject, "--process", "nginx")
			}
			got := h.mustInstall(flags...)
			c := sidecar(got.objects["Deployment/web"])
			if c == nil || c["image"] != "podsignal:test" || c["restartPolicy"] != "Always" {
				t.Errorf("no sidecar in %v", got.objects["Deployment/web"])
			}
			if diff := cmp.Diff(before.objects["ConfigMap/web-conf"], got.objects["ConfigMap/web-conf"]); diff != "" {
				t.Errorf("the ConfigMap has changed: %s", diff)
			}

			// The same as in a pipe.
			rendered, err := h.run(nil, input...)
			if err != nil {
				t.Fatal(err)
			}
			piped, err := h.run([]byte(rendered), inject...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(h.read(piped), got.objects); diff != "" {
				t.Errorf("(-pipe +post-renderer)\n%s", diff)
			}
		})
	}
	// Helm 3 hides hooks from post-renderers.
	t.Run("hooks", func(t *testing.T) {
		h := h.in(t)
		got := h.mustInstall(h.postRenderer()...)
		if has := sidecar(got.hooks["Job/web-before"]) != nil; has != h.four {
			t.Errorf("the hook has podsignal: %t, want %t", has, h.four)
		}
		if diff := cmp.Diff(plain.hooks["Pod/web-test"], got.hooks["Pod/web-test"]); diff != "" {
			t.Errorf("the test's pod has changed: %s", diff)
		}
	})
	// Helm 4 does not show what a post-renderer says.
	t.Run("an error", func(t *testing.T) {
		h := h.in(t)
		want := `Deployment/web: annotation podsignal/signal="HPU" is not a valid signal`
		if h.four {
			want = `failed to invoke post-renderer plugin "podsignal"`
		}
		_, err := h.install(append(h.postRenderer(), append(ask, "--set", `podAnnotations.podsignal/signal=HPU`)...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	})
}

// TestValues has the values in README.md add the same sidecar as inject does.
func TestValues(t *testing.T) {
	h := newHelm(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?extraInitContainers.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md has no values")
	}
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	got := sidecar(h.mustInstall("-f", values).objects["Deployment/web"])
	injected := sidecar(h.mustInstall(append(h.postRenderer("--process", "nginx", "--uid", "0", "--image", "podsignal:0.1.0"), "--set", "shareProcessNamespace=true")...).objects["Deployment/web"])
	if diff := cmp.Diff(injected, got); diff != "" {
		t.Errorf("(-inject +values)\n%s", diff)
	}
}
