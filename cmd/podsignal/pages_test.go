package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
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

// TestPageOfGuarantees holds the tests that CONTRACT.md, STABILITY.md and THREATS.md name: each is a script
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
	for _, name := range []string{"CONTRACT.md", "STABILITY.md", "THREATS.md"} {
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
	eachFile(t, dir, func(path string, file *ast.File) {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasSuffix(path, "_test.go") {
				names = append(names, f.Name.Name)
			}
		}
	})
	return names
}

// eachFile parses the Go files below a folder.
func eachFile(t *testing.T, dir string, f func(path string, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			f(path, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPageOfMessages: Troubleshooting has every message that is logged as a warning or an
// error, as far as its fix.
func TestPageOfMessages(t *testing.T) {
	text := page(t, "OPERATIONS.md")
	for _, dir := range []string{"..", "../../signal", "../../watcher"} {
		for _, message := range warnings(t, dir) {
			event, _, _ := strings.Cut(message, ": ")
			if !strings.Contains(text, "`"+event) {
				t.Errorf("OPERATIONS.md does not have the message %q", message)
			}
		}
	}
}

// warnings are the messages of all calls of Warn, Error and Log of a slog.Logger, in the Go
// files below a folder, and those of constants that are called message.
func warnings(t *testing.T, dir string) (messages []string) {
	t.Helper()
	argument := map[string]int{"Warn": 0, "Error": 0, "Log": 2, "logFailure": 1}
	add := func(e ast.Expr) {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			message, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, message)
		}
	}
	eachFile(t, dir, func(path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for n := range ast.Preorder(file) {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok {
					if i, ok := argument[f.Sel.Name]; ok && i < len(n.Args) {
						add(n.Args[i])
					}
				}
			case *ast.AssignStmt:
				if name, ok := n.Lhs[0].(*ast.Ident); ok && name.Name == "message" {
					add(n.Rhs[0])
				}
			}
		}
	})
	if len(messages) == 0 {
		t.Fatalf("no message in %s", dir)
	}
	return messages
}
