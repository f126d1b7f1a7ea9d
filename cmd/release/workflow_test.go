package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// The workflow uploads what the dry run builds, and no more.
func TestUploads(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(top, ".github/workflows/release.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Name, Run string
			}
		}
	}
	if err := yaml.Unmarshal(content, &workflow); err != nil {
		t.Fatal(err)
	}
	var uploads, runs []string
	for _, step := range workflow.Jobs["publish"].Steps {
		runs = append(runs, step.Run)
		if !strings.Contains(step.Run, "gh release ") {
			continue
		}
		for _, word := range strings.Fields(step.Run) {
			if name, ok := strings.CutPrefix(word, "dist/"); ok {
				uploads = append(uploads, name)
			}
		}
	}
	entries, err := os.ReadDir(dryRun(t))
	if err != nil {
		t.Fatal(err)
	}
	var built []string
	for _, entry := range entries {
		built = append(built, entry.Name())
	}
	slices.Sort(uploads)
	if diff := cmp.Diff(built, uploads); diff != "" {
		t.Errorf("the dry run builds (-), and release.yml uploads (+):\n%s", diff)
	}
	for _, target := range []string{"make release-dry-run\n", "make release-push\n"} {
		if !strings.Contains(strings.Join(runs, "\n"), target) {
			t.Errorf("release.yml does not run %q", target)
		}
	}
}

// Each action is a commit, with its version beside it, the same in all workflows; none may do
// more than its job says.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(top, ".github/workflows/*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("there are the workflows %v (%v)", files, err)
	}
	uses := regexp.MustCompile(`uses: (\S+)(.*)`)
	pinned := regexp.MustCompile(`^([\w/-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	seen := make(map[string]string)
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), "\npermissions: {}\n") {
			t.Errorf("%s: jobs have rights that they do not ask for", path)
		}
		for _, match := range uses.FindAllStringSubmatch(string(content), -1) {
			if strings.HasPrefix(match[1], "./") {
				continue
			}
			action := pinned.FindStringSubmatch(match[1] + match[2])
			if action == nil {
				t.Errorf("%s: %s is not pinned as OWNER/ACTION@COMMIT # vVERSION", path, match[0])
				continue
			}
			if other, ok := seen[action[1]]; ok && other != match[0] {
				t.Errorf("%s: %s, and elsewhere %s", path, match[0], other)
			}
			seen[action[1]] = match[0]
		}
	}
}

// Dependabot looks at all modules and Dockerfiles.
func TestDependabot(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(top, ".github/dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var dependabot struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
		}
	}
	if err := yaml.Unmarshal(content, &dependabot); err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for _, update := range dependabot.Updates {
		got[update.Ecosystem] = append(update.Directories, update.Directory)
	}
	want := map[string]map[string]bool{"gomod": {}, "docker": {}, "github-actions": {"/": true}}
	ecosystems := map[string]string{"go.mod": "gomod", "Dockerfile": "docker"}
	for name := range strings.SplitSeq(command(t, top, nil, "git", "ls-files", "-z"), "\x00") {
		if ecosystem, ok := ecosystems[filepath.Base(name)]; ok {
			want[ecosystem][filepath.Join("/", filepath.Dir(name))] = true
		}
	}
	for ecosystem, folders := range want {
		got := slices.DeleteFunc(got[ecosystem], func(folder string) bool { return folder == "" })
		if diff := cmp.Diff(slices.Sorted(maps.Keys(folders)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Errorf("%s: the folders that there are (-), and those in dependabot.yml (+):\n%s", ecosystem, diff)
		}
	}
}
