package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// page reads one of the pages beside the code.
func page(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestPageOfVariables holds the tables of README.md against --help: the same variables, in
// the same order, with the same defaults. A cell without a default is empty in both.
func TestPageOfVariables(t *testing.T) {
	type variable struct{ Name, Default string }

	var help bytes.Buffer
	if err := usage(&help); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(help.String()), "\n")
	head := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "VARIABLE ") })
	if head < 0 {
		t.Fatalf("--help has no table of variables:\n%s", help.String())
	}
	second, third := strings.Index(lines[head], "DEFAULT"), strings.Index(lines[head], "MEANING")
	var want []variable
	for _, line := range lines[head+1:] {
		want = append(want, variable{strings.TrimSpace(line[:second]), strings.TrimSpace(line[second:third])})
	}

	var got []variable
	row := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|(?: `(.+?)`)? \\| [^|]+ \\|$")
	for _, cells := range row.FindAllStringSubmatch(page(t, "README.md"), -1) {
		got = append(got, variable{cells[1], cells[2]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tables of README.md are not those of --help (-help +README):\n%s", diff)
	}
}
