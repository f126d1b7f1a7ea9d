package manifests_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
)

// injected are the faults that podsignal inject leaves in a pod for a reason.
var injected = []exception{
	{"levels.golden.yaml", "uid: that of container web is not known", "an annotation says it, or OpenShift"},
	{"update-bare.golden.yaml", "sidecar: podsignal belongs into initContainers", "it was among the containers"},
	{"update-bare.golden.yaml", "subPath: the mount of conf in container reader", "its program is not the one to be signalled"},
	{"update-bare.golden.yaml", "uid: that of container reader is not known", "the same"},
	{"update-bare.golden.yaml", "uid: that of container nginx is not known", "podsignal's own was set"},
	{"update-conflicts.golden.yaml", `FILE: podsignal mounts no volume at "/older"`, "FILE is the user's, and the pod has no such volume"},
	{"update-conflicts.golden.yaml", "volume: no other container mounts old", "the same"},
	{"update-inline.golden.json", "read-only: podsignal only reads old", "the mount is the user's, of what FILE names"},
	{"update-inline.golden.json", "volume: no other container mounts old", "the same"},
	{"validate-enter.golden.yaml", "volume: no other container mounts more", "the same"},
	{"validate-order.golden.yaml", "volume: the pod has none named data", "the StatefulSet has a claim of that name"},
}

// TestInject reads what podsignal inject prints in its tests, strictly, and looks for
// faults in each podsignal.
func TestInject(t *testing.T) {
	files, err := filepath.Glob("../../cmd/internal/inject/testdata/*.golden.*")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	found := make(map[string][]string) // faults, by file
	for _, path := range files {
		file := filepath.Base(path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := decode(content)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		sidecars := 0
		for _, object := range objects {
			name, pod, _ := podOf(object)
			for podsignal := range podsignals(pod) {
				sidecars++
				for _, fault := range sidecarFaults(pod, podsignal) {
					found[file] = append(found[file], fault+" ("+name+")")
				}
			}
		}
		if sidecars == 0 {
			found[file] = append(found[file], "sidecar: no pod has one")
		}
		slices.Sort(found[file])
	}
	for _, complaint := range complaints(found, injected) {
		t.Error(complaint)
	}
}

// TestInjectLevels has podsignal in pods of the level that their name begins with.
func TestInjectLevels(t *testing.T) {
	content, err := os.ReadFile("../../cmd/internal/inject/testdata/levels.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(content)
	if err != nil || len(objects) < 4 {
		t.Fatalf("%d objects (%v)", len(objects), err)
	}
	for _, object := range objects {
		name, pod, _ := podOf(object)
		level, _, _ := strings.Cut(strings.TrimPrefix(name, "Deployment/"), "-")
		at := func(level string) (refusals []string) {
			for _, result := range standards.EvaluatePod(api.LevelVersion{Level: api.Level(level), Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
				if !result.Allowed {
					refusals = append(refusals, result.ForbiddenReason+": "+result.ForbiddenDetail)
				}
			}
			return refusals
		}
		if refusals := at(level); len(refusals) > 0 {
			t.Errorf("%s: %q", name, refusals)
		}
		if level == "baseline" && len(at("restricted")) == 0 {
			t.Errorf("%s is of the level restricted", name)
		}
	}
}
