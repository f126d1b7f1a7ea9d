package manifests_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/types"
)

// notKubernetes are the files that others read, by name or by path below examples.
var notKubernetes = map[string]string{
	"compose.yaml": "Docker Compose, in examples_test.go",

	"helm/plugin/plugin.yaml":            "Helm 4, in helm/helm_test.go",
	"prometheus-url/compose.yaml":        "Docker Compose, held against kubernetes.yaml in daemons/calls_test.go",
	"prometheus-url/conf/prometheus.yml": "Prometheus, the same",
	"prometheus-url/conf/rules.yml":      "the same",
}

// TestExamples reads all YAML in examples, strictly, and looks for faults in each pod.
func TestExamples(t *testing.T) {
	found := make(map[string][]string) // faults, by file
	var patches []string               // files that are whole only in what is rendered
	for _, file := range yamlFiles(t) {
		content, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		var objects []runtime.Object
		if filepath.Base(file) == "kustomization.yaml" {
			k, err := decodeKustomization(content)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			for _, patch := range k.Patches {
				patches = append(patches, filepath.Join(filepath.Dir(file), patch.Path))
			}
			if k.Kind == types.KustomizationKind {
				objects = render(t, filepath.Join("..", filepath.Dir(file)))
			}
		} else if objects, err = decode(content); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}

		sidecars := 0
		for _, object := range objects {
			name, pod, ok := podOf(object)
			if !ok {
				continue
			}
			for _, fault := range faults(pod) {
				found[file] = append(found[file], fault+" ("+name+")")
			}
			for range podsignals(pod) {
				sidecars++
			}
		}
		if filepath.Base(file) == "kubernetes.yaml" && sidecars == 0 {
			found[file] = append(found[file], "sidecar: no pod has one")
		}
	}
	for _, patch := range patches {
		delete(found, patch)
	}
	for _, complaint := range complaints(found, exceptions) {
		t.Error(complaint)
	}
}

// yamlFiles returns what is there for Kubernetes and kustomize, below examples.
func yamlFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(".."), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// What tests have for themselves is no example.
		if entry.IsDir() && entry.Name() == "testdata" {
			return fs.SkipDir
		}
		_, byName := notKubernetes[entry.Name()]
		_, byPath := notKubernetes[file]
		if ext := filepath.Ext(file); (ext == ".yaml" || ext == ".yml") && !byName && !byPath {
			files = append(files, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// complaints returns the faults for which there is no exception, and the exceptions
// for which there is no fault.
func complaints(found map[string][]string, exceptions []exception) []string {
	var all []string
	used := make(map[exception]bool)
	for file, faults := range found {
		for _, fault := range faults {
			i := slices.IndexFunc(exceptions, func(e exception) bool {
				return e.file == file && strings.HasPrefix(fault, e.fault)
			})
			if i < 0 {
				all = append(all, file+": "+fault)
			} else {
				used[exceptions[i]] = true
			}
		}
	}
	for _, e := range exceptions {
		if !used[e] {
			all = append(all, fmt.Sprintf("%s: no fault %q any more: remove its exception", e.file, e.fault))
		}
	}
	slices.Sort(all)
	return all
}

// TestReadme reads the pod that README.md shows. It is an excerpt: only what
// concerns podsignal has to be right.
func TestReadme(t *testing.T) {
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(content), "\n## Quick start\n")
	_, block, _ := strings.Cut(section, "\n```yaml\n")
	block, _, _ = strings.Cut(block, "\n```\n")
	objects, err := decode([]byte("apiVersion: v1\nkind: Pod\n" + block + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, pod, _ := podOf(objects[0])
	sidecars := slices.Collect(podsignals(pod))
	if len(sidecars) != 1 {
		t.Fatalf("%d sidecars, want 1:\n%s", len(sidecars), block)
	}
	for _, fault := range sidecarFaults(pod, sidecars[0]) {
		t.Error(fault)
	}
}
