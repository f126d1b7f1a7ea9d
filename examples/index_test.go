package examples_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestIndex wants a line of README.md for each folder here.
func TestIndex(t *testing.T) {
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, line := range regexp.MustCompile(`(?m)^\| \[([^]]+)\]\(([^)/]+)(/README\.md)?\) \|`).FindAllStringSubmatch(string(content), -1) {
		name, folder, readme := line[1], line[2], line[3]
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			continue // a page; TestLinks is about links
		}
		listed = append(listed, folder)
		if name != folder {
			t.Errorf("README.md calls the folder %s %q", folder, name)
		}
		if _, err := os.Stat(folder + "/README.md"); (err == nil) != (readme != "") {
			t.Errorf("README.md is to link to %s/README.md if that exists, and else to the folder", folder)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != "testdata" && !slices.Contains(listed, entry.Name()) {
			t.Errorf("README.md has no line for the folder %s", entry.Name())
		}
	}
	slices.Sort(listed)
	if once := slices.Compact(slices.Clone(listed)); len(once) != len(listed) {
		t.Errorf("README.md lists a folder twice: %v", listed)
	}
}
