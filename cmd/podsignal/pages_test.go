package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
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

// TestPageOfGuarantees holds the tests that CONTRACT.md and THREATS.md name: each is a script
// in testdata or a Go test of this module, and CONTRACT.md names every script of a clause.
func TestPageOfGuarantees(t *testing.T) {
	exist := make(map[string]bool)
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		exist[strings.TrimSuffix(filepath.Base(script), ".txtar")] = true
	}
	for _, name := range goTests(t, "../..") {
		exist[name] = true
	}

	test := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*|[WDPGS][0-9]-[a-z0-9-]+)`")
	inRow := regexp.MustCompile("`[^`]+`")
	for _, name := range []string{"CONTRACT.md", "THREATS.md"} {
		text := page(t, name)
		for _, match := range test.FindAllStringSubmatch(text, -1) {
			if !exist[match[1]] {
				t.Errorf("%s names %s, which does not exist", name, match[1])
			}
		}
		// In the last column of a table there is nothing else but tests.
		for line := range strings.Lines(text) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			if last := cells[len(cells)-1]; strings.HasPrefix(last, "`") && strings.HasSuffix(last, "` |") {
				for _, span := range inRow.FindAllString(last, -1) {
					if name := strings.Trim(span, "`"); !exist[name] {
						t.Errorf("a row names %s, which is no test: %s", name, line)
					}
				}
			}
		}
	}

	clause := regexp.MustCompile("^[WDPGS][0-9]-")
	contract := page(t, "CONTRACT.md")
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".txtar")
		if clause.MatchString(name) && !strings.Contains(contract, "`"+name+"`") {
			t.Errorf("CONTRACT.md does not name %s", name)
		}
	}
}

// goTests are the names of all Go tests and fuzz tests below a folder.
func goTests(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names = append(names, f.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
