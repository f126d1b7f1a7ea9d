// Package admission_test makes the policies of examples/admission from podsignal's own lists, and
// tries them on a real API server.
package admission_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
	"github.com/podsignal/podsignal/cmd/internal/pagetest"
	"github.com/podsignal/podsignal/cmd/programs"
	"github.com/podsignal/podsignal/signal"
)

const example = "../../../examples/admission/"

var update = flag.Bool("update", false, "write the policies of examples/admission")

// keys are those of the parameter, without the defaults.
var keys = []string{"image", "imagePullPolicy", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}

// defaults are the annotations that the parameter may have a default for.
var defaults = []string{"exclude", "splay", "listen"}

// TestPolicies wants the policies to be what is made of the lists.
func TestPolicies(t *testing.T) {
	for _, name := range []string{"policy.yaml", "deny.yaml"} {
		want := render(t, name)
		path := filepath.Join(example, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the lists make: go test ./cmd/internal/admission -update (-want +got):\n%s", path, diff)
		}
	}
}

// lists are what the templates take from podsignal. All but the counted are in CEL.
type lists struct {
	Version      string
	Annotations  []annotated // that the policies honour
	Names        string      // of these
	InjectNames  string      // of the others
	KnownNames   string      // of all, and of the reserved ones
	Known        string      // in a sentence
	Defaults     string      // in a sentence
	DefaultNames string
	ImagePattern string

	ParameterKeys string
	Variables     []variable
	Programs      []string
	SignalNames   string // by number
	EndSignals    string
	Hold          hold
}

type hold struct{ Volume, Item, Field, Folder, NotWith string }

type annotated struct {
	Name, Pattern, Use string
	Default            bool // the parameter may have one
}

type variable struct{ Variable, Value string }

func render(t *testing.T, name string) []byte {
	t.Helper()
	all, err := template.New(name+".tmpl").Delims("<<", ">>").ParseFiles("testdata/"+name+".tmpl", "testdata/pod.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := all.Execute(&out, makeLists(t)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func makeLists(t *testing.T) lists {
	t.Helper()
	l := lists{Version: version(t), Defaults: strings.Join(defaults, ", "), DefaultNames: listOf(defaults)}
	l.Hold = hold{annotation.HoldVolume, annotation.HoldItem, annotation.HoldField, annotation.HoldFolder, pattern(annotation.NotWithHold)}
	l.ParameterKeys = listOf(slices.Concat(keys, defaults))
	var names, others, known []string
	for _, a := range annotation.All {
		known = append(known, a.Key())
		if !a.Policy {
			others = append(others, a.Name)
			if a.Name == "image" {
				l.ImagePattern = pattern(a.Anchored())
			}
			continue
		}
		names = append(names, a.Name)
		l.Annotations = append(l.Annotations, annotated{a.Name, pattern(a.Anchored()), quote(a.Use), slices.Contains(defaults, a.Name)})
		if a.Variable != "" {
			l.Variables = append(l.Variables, variable{a.Variable, valueOf(a)})
		}
	}
	cmdlines := make(map[string]string) // by process
	for _, p := range programs.All {
		for _, setting := range p.Settings {
			name, _, _ := strings.Cut(setting, "=")
			if !slices.ContainsFunc(l.Variables, func(v variable) bool { return v.Variable == name }) {
				l.Variables = append(l.Variables, variable{name, fmt.Sprintf("variables.needs.map(n, n[?%s].orValue('')).join('')", quote(name))})
			}
		}
		for _, process := range p.Processes {
			if cmdline, taken := cmdlines[process]; taken && (cmdline == "" || p.Cmdline == "") {
				t.Errorf("%s may be two programs, and the policies would take both", process)
			}
			cmdlines[process] = p.Cmdline
			l.Programs = append(l.Programs, listOf([]string{process, p.Cmdline, p.Name, p.Signal, p.Instead, strings.Join(p.Settings, " ")}))
		}
	}
	l.Names, l.InjectNames = listOf(names), listOf(others)
	l.KnownNames = listOf(slices.Concat(names, others, annotation.Reserved))
	l.Known = strings.Join(known, ", ")
	var byNumber, ends []string
	for i := 1; i < 65; i++ {
		sig, err := signal.Parse(strconv.Itoa(i))
		if err != nil {
			continue
		}
		if name := signal.Name(sig); name != strconv.Itoa(i) {
			byNumber = append(byNumber, fmt.Sprintf("'%d': '%s'", i, name))
		}
		if signal.MeansEnd(syscall.Signal(i)) {
			ends = append(ends, signal.Name(sig))
		}
	}
	l.SignalNames, l.EndSignals = "{"+strings.Join(byNumber, ", ")+"}", listOf(ends)
	return l
}

// valueOf is the expression for an annotation's variable; empty: it is not set.
func valueOf(a annotation.Annotation) string {
	given := fmt.Sprintf("variables.given[?'%s'].orValue('')", a.Name)
	switch {
	case a.Name == "signal" || a.Name == "file":
		return "variables." + a.Name
	case a.Name == "hold":
		return "variables.holds ? " + quote(annotation.HoldFile) + " : ''"
	case slices.ContainsFunc(programs.All, func(p programs.Program) bool {
		return slices.ContainsFunc(p.Settings, func(s string) bool { return strings.HasPrefix(s, a.Variable+"=") })
	}):
		return fmt.Sprintf("variables.given[?'%s'].orValue(variables.needs.map(n, n[?'%s'].orValue('')).join(''))", a.Name, a.Variable)
	}
	return given
}

// quote is a string in CEL.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// pattern is a regular expression in CEL, as it is.
func pattern(s string) string {
	if strings.Contains(s, "'") {
		return `r"` + s + `"`
	}
	return "r'" + s + "'"
}

func listOf(all []string) string {
	var quoted []string
	for _, s := range all {
		quoted = append(quoted, quote(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// version is that of the image that make image makes.
func version(t *testing.T) string {
	t.Helper()
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^VERSION \?= (\S+)$`).FindSubmatch(makefile)
	if found == nil {
		t.Fatal("the Makefile has no VERSION")
	}
	return string(found[1])
}

// TestReadme wants the table of annotations to have each, in this order, with what it may be.
func TestReadme(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(example, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(podsignal/[a-z-]+)` \\| (`([A-Z_]+)`)?.* \\| (.*)\\|$").FindAllStringSubmatch(string(content), -1) {
		got = append(got, strings.Join([]string{row[1], row[3], strings.TrimSpace(row[4])}, " | "))
	}
	for _, a := range annotation.All {
		if a.Policy {
			want = append(want, strings.Join([]string{a.Key(), a.Variable, a.Use}, " | "))
		} else {
			want = append(want, a.Key()+" |  | ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("annotations of README.md (-want +got):\n%s", diff)
	}
	for _, name := range annotation.Reserved {
		if !strings.Contains(string(content), "`"+annotation.Prefix+name+"`") {
			t.Errorf("README.md does not tell of %s", name)
		}
	}
	parameter := pagetest.Section(t, filepath.Join(example, "README.md"), "The parameter")
	pagetest.Compare(t, "README.md", slices.Concat(keys, defaults), pagetest.Names(parameter))
}
