package main

import (
	"bytes"
	"go/ast"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/pagetest"
	"github.com/podsignal/podsignal/cmd/internal/status"
	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// variables is how many variables there are. Each is promised, explained and tested for as long as
// podsignal lives: a new one takes the place of another, or changes this number, with the reason.
//
// 31: HOLD, for a change that nobody has approved may not be delivered, and no other variable could
// say where the approvals are.
const variables = 31

// TestPageOfVariables holds the tables of README.md against --help: the same variables, in
// the same order, with the same defaults. A cell without a default is empty in both.
func TestPageOfVariables(t *testing.T) {
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
	var code, onPage []string
	for _, line := range lines[head+1:] {
		code = append(code, strings.TrimSpace(line[:second])+"="+strings.TrimSpace(line[second:third]))
	}
	row := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|(?: `(.+?)`)? \\| [^|]+ \\|$")
	for _, cells := range row.FindAllStringSubmatch(page(t, "README.md"), -1) {
		onPage = append(onPage, cells[1]+"="+cells[2])
	}
	pagetest.Compare(t, "README.md", code, onPage)
	if diff := cmp.Diff(code, onPage); diff != "" && !t.Failed() {
		t.Errorf("the tables of README.md are in another order than --help (-help +README):\n%s", diff)
	}
	if len(code) != variables {
		t.Errorf("there are %d variables, and not %d: remove one for each new one, or change that number in this file, and say why there", len(code), variables)
	}
}

// TestPageOfJSON: the fields of each document are those of its table, and what may be left out
// is in italics there.
func TestPageOfJSON(t *testing.T) {
	subPath := reflect.TypeFor[check.SubPathReport]() // told once for all places
	ofStatus := pagetest.Fields(reflect.TypeFor[status.Document]())
	for i, name := range ofStatus {
		// With RULES the page /status has one version for all; written is podsignal status' own.
		if name == "version" || name == "written" {
			ofStatus[i] = "*" + name + "*"
		}
	}
	for _, test := range []struct {
		page, section string
		inCode        []string
	}{
		{"README.md", "JSON of podsignal check", pagetest.Fields(reflect.TypeFor[check.Report](), subPath)},
		{"README.md", "JSON of /status", append(ofStatus, "*check*")}, // which package serve adds
		{"OPERATIONS.md", "Notifications", pagetest.Fields(reflect.TypeFor[notify.Notification]())},
	} {
		pagetest.Compare(t, test.page, test.inCode, pagetest.Names(pagetest.Section(t, test.page, test.section)))
	}
	_, told, _ := strings.Cut(page(t, "README.md"), "Each of `subpath_mounts` has ")
	for _, name := range pagetest.Fields(subPath) {
		if !strings.Contains(told, "`"+strings.Trim(name, "*")+"`") {
			t.Errorf("README.md does not have %s of subpath_mounts", name)
		}
	}
}

// TestPageOfLog holds the keys of the log, and the values of reason, against the code.
func TestPageOfLog(t *testing.T) {
	code := []string{slog.TimeKey, slog.LevelKey, slog.MessageKey}
	for _, dir := range []string{".", "../internal", "../../signal", "../../watcher"} {
		code = append(code, logKeys(t, dir)...)
	}
	slices.Sort(code)
	code = slices.Compact(code)
	for _, match := range regexp.MustCompile(`\breason = "(\w+)"`).FindAllStringSubmatch(page(t, "../internal/deliver/reason.go"), -1) {
		code = append(code, match[1])
	}
	onPage := pagetest.Names(pagetest.Section(t, "README.md", "Log"))
	for _, level := range []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		code = append(code, strings.ToLower(level.String()))
	}
	for _, name := range onPage {
		// Durations have another key in JSON (package logging).
		if of, is := strings.CutSuffix(name, "_s"); is && slices.Contains(code, of) {
			code = append(code, name)
		}
	}
	pagetest.Compare(t, "README.md", code, onPage)
}

// logKeys are the keys in all calls of a slog.Logger, and of slog's own functions for attributes, in
// the Go files below a folder. Those that are put into a list before have "file" first, or are
// appended to it.
func logKeys(t *testing.T, dir string) (keys []string) {
	t.Helper()
	first := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "Log": 3, "LogAttrs": 3, "With": 0}
	attributes := []string{"String", "Int", "Duration", "Time", "Any", "Bool", "Float64"}
	literal := func(e ast.Expr) (value string, is bool) {
		l, is := e.(*ast.BasicLit)
		if !is || l.Kind != token.STRING {
			return "", false
		}
		value, err := strconv.Unquote(l.Value)
		return value, err == nil
	}
	pairs := func(args []ast.Expr) {
		for i := 0; i < len(args); i++ {
			if key, is := literal(args[i]); is {
				keys = append(keys, key)
				i++ // its value
			}
		}
	}
	eachFile(t, dir, func(path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, filepath.FromSlash("internal/bench/")) {
			return
		}
		for n := range ast.Preorder(file) {
			switch n := n.(type) {
			case *ast.CompositeLit: // []any{"file", …}
				if list, is := n.Type.(*ast.ArrayType); is {
					if of, is := list.Elt.(*ast.Ident); is && of.Name == "any" {
						pairs(n.Elts)
					}
				}
			case *ast.CallExpr:
				if f, is := n.Fun.(*ast.Ident); is && f.Name == "append" && len(n.Args) == 3 {
					if _, is := literal(n.Args[1]); is {
						pairs(n.Args[1:])
					}
				}
				f, is := n.Fun.(*ast.SelectorExpr)
				if !is {
					continue
				}
				on, _ := f.X.(*ast.Ident)
				if i, is := first[f.Sel.Name]; is && i <= len(n.Args) {
					pairs(n.Args[i:])
				} else if on != nil && on.Name == "slog" && slices.Contains(attributes, f.Sel.Name) {
					pairs(n.Args[:1])
				}
			}
		}
	})
	return keys
}

// TestPageOfOutcomes holds the outcomes of CONTRACT.md against the code.
func TestPageOfOutcomes(t *testing.T) {
	text := pagetest.Section(t, "CONTRACT.md", "Outcomes")
	var code []string
	for _, o := range verify.Outcomes {
		if o != verify.Invalid { // of a change, told below the table
			code = append(code, string(o))
		}
	}
	pagetest.Compare(t, "CONTRACT.md", code, pagetest.Names(text))
	for _, o := range []verify.Outcome{verify.Invalid, verify.Undelivered, verify.Resolved} {
		if !strings.Contains(text, "`"+string(o)+"`") {
			t.Errorf("CONTRACT.md does not have the outcome %s", o)
		}
	}
}

// TestPageOfCommands holds commands, flags and exit codes of README.md against the code.
func TestPageOfCommands(t *testing.T) {
	code := page(t, "main.go")
	var want []string
	for _, match := range regexp.MustCompile(`(?m)"(--?[a-z-]+)"|^\tcase "([a-z]+)"`).FindAllStringSubmatch(code, -1) {
		// -help and -version are taken, and not promised.
		if name := match[1] + match[2]; !regexp.MustCompile("^-[a-z]{2}").MatchString(name) {
			want = append(want, name)
		}
	}
	for _, match := range regexp.MustCompile(`flags\.\w+\(&\S+, "([a-z-]+)"`).FindAllStringSubmatch(page(t, "../internal/send/send.go"), -1) {
		want = append(want, "--"+match[1])
	}
	want = append(want, "help")
	slices.Sort(want)
	text := pagetest.Section(t, "README.md", "Commands")
	var got []string
	for _, name := range pagetest.Names(text) {
		for _, word := range strings.Fields(name) {
			if regexp.MustCompile("^-|^[a-z]+$").MatchString(word) && word != "podsignal" {
				got = append(got, word)
			}
		}
	}
	slices.Sort(got)
	pagetest.Compare(t, "README.md", slices.Compact(want), slices.Compact(got))

	codes, onPage := []string{"exit code 0"}, []string(nil)
	for _, match := range regexp.MustCompile(`os\.Exit\((\d+)\)`).FindAllStringSubmatch(code, -1) {
		codes = append(codes, "exit code "+match[1])
	}
	for _, match := range regexp.MustCompile(`[|;] (\d)\b`).FindAllStringSubmatch(pagetest.Section(t, "README.md", "Exit codes"), -1) {
		onPage = append(onPage, "exit code "+match[1])
	}
	pagetest.Compare(t, "README.md", codes, onPage)
}

// TestPageOfImage holds the paths, the uid and the labels of README.md against the Dockerfile.
func TestPageOfImage(t *testing.T) {
	dockerfile := page(t, "../../Dockerfile")
	_, dockerfile, _ = strings.Cut(dockerfile, "\nFROM scratch\n")
	var code []string
	for _, match := range regexp.MustCompile(`(?m)^COPY --from=\S+ (.*) /$`).FindAllStringSubmatch(dockerfile, -1) {
		for path := range strings.FieldsSeq(match[1]) {
			code = append(code, "/"+filepath.Base(path))
		}
	}
	for _, match := range regexp.MustCompile(`(?m)^USER (\d+):|(org\.opencontainers\.image\.\w+)=`).FindAllStringSubmatch(dockerfile, -1) {
		code = append(code, match[1]+match[2])
	}
	pagetest.Compare(t, "README.md", code, pagetest.Names(pagetest.Section(t, "README.md", "Image")))
}
