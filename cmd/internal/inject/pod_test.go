package inject

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// web is a pod that no annotation asks for yet. Tests replace parts of it.
const web = `apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations: {}
spec:
  containers:
  - name: nginx
    image: nginx:1.28
    volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]
  volumes: [{name: conf, configMap: {name: conf}}]
`

// image is one of a registry, as there is a note on others.
const image = "--image=registry.example/podsignal:0.1.0"

// edited is a manifest with parts replaced by others, in pairs.
func edited(t *testing.T, manifest string, pairs ...string) string {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(manifest, pairs[i]) {
			t.Fatalf("%q is not in the manifest:\n%s", pairs[i], manifest)
		}
		manifest = strings.Replace(manifest, pairs[i], pairs[i+1], 1)
	}
	return manifest
}

// annotated is web with annotations of podsignal, in YAML.
func annotated(t *testing.T, annotations string) string {
	t.Helper()
	return edited(t, web, "annotations: {}", "annotations: {"+annotations+"}")
}

// injected runs inject, which must not fail, twice: what it does a second time changes nothing.
func injected(t *testing.T, in string, args ...string) (out, notes string) {
	t.Helper()
	args = append(args, image)
	out, notes, err := run(in, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, in)
	}
	again, _, err := run(out, args...)
	if err != nil || again != out {
		t.Errorf("a second time it changes (%v):\n%s\nto\n%s", err, out, again)
	}
	return out, notes
}

// podsignalIn returns the container podsignal of a manifest; nil: there is none.
func podsignalIn(t *testing.T, manifest string) *yaml.Node {
	t.Helper()
	return containerIn(t, manifest, name)
}

func containerIn(t *testing.T, manifest, name string) *yaml.Node {
	t.Helper()
	for decoder := yaml.NewDecoder(strings.NewReader(manifest)); ; {
		var doc yaml.Node
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			t.Fatal(err)
		}
		for _, w := range workloads(&doc) {
			spec := lookup(lookup(w.object, w.pod...), "spec")
			for _, c := range slices.Concat(items(spec, "initContainers"), items(spec, "containers")) {
				if text(c, "name") == name {
					return c
				}
			}
		}
	}
}

// envOf are the variables of a container.
func envOf(c *yaml.Node) map[string]string {
	env := make(map[string]string)
	for _, item := range items(c, "env") {
		env[text(item, "name")] = text(item, "value")
	}
	return env
}

// mountsIn are the paths at which a container mounts volumes.
func mountsIn(c *yaml.Node) (paths []string) {
	for _, item := range items(c, "volumeMounts") {
		paths = append(paths, text(item, "mountPath"))
	}
	return paths
}

// written is a part of a manifest in a line.
func written(n *yaml.Node, keys ...string) string {
	if n = lookup(n, keys...); n == nil {
		return ""
	}
	return style{}.inline(n)
}
