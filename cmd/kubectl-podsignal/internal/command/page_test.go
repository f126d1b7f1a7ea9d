package command

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

// section is one of README.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no section %s", heading)
	}
	text, _, _ := strings.Cut(after, "\n## ")
	return text
}

// firstCells are what is in backticks in the first cells of a section's tables.
func firstCells(text string) (all []string) {
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?[^\\]) \|`).FindAllStringSubmatch(text, -1) {
		for _, code := range regexp.MustCompile("\\*?`([^`]+)`\\*?").FindAllString(row[1], -1) {
			all = append(all, strings.ReplaceAll(code, "`", ""))
		}
	}
	return all
}

// TestPageOfJSON: README.md has the fields of -o json, those in italics that may be left out.
func TestPageOfJSON(t *testing.T) {
	var want []string
	var add func(of reflect.Type, prefix string)
	add = func(of reflect.Type, prefix string) {
		for field := range of.Fields() {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			name = prefix + name
			kind := field.Type
			if kind.Kind() == reflect.Slice {
				kind = kind.Elem()
				if name != "pods" {
					want = append(want, shown(name, options))
				}
				name += "[]"
			} else if kind.Kind() != reflect.Struct {
				want = append(want, shown(name, options))
			}
			if kind.Kind() == reflect.Struct {
				add(kind, name+".")
			}
		}
	}
	add(reflect.TypeFor[document](), "")
	got := firstCells(section(t, "JSON"))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-code +page):\n%s", diff)
	}
}

func shown(name, options string) string {
	if strings.HasPrefix(options, "omit") {
		return "*" + name + "*"
	}
	return name
}

// TestPageOfVerdicts: README.md explains each verdict.
func TestPageOfVerdicts(t *testing.T) {
	var want []string
	for _, v := range fleet.Verdicts() {
		want = append(want, string(v))
	}
	got := firstCells(section(t, "Status"))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-code +page):\n%s", diff)
	}
}

// TestPageOfCommands: README.md has all commands, and all flags that kubectl has not.
func TestPageOfCommands(t *testing.T) {
	text := section(t, "Commands")
	kubectls := new(cobra.Command)
	query(kubectls)
	for _, cmd := range newRoot(genericiooptions.NewTestIOStreamsDiscard()).Commands() {
		if !strings.Contains(text, "`"+cmd.Name()) {
			t.Errorf("there is no command %s", cmd.Name())
		}
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			in := "`--" + flag.Name + "`"
			switch {
			case kubectls.Flags().Lookup(flag.Name) != nil || slices.Contains([]string{"filename", "kustomize", "recursive"}, flag.Name):
				return
			case flag.Name == "output":
				in = "`-o`"
			}
			row := regexp.MustCompile(`(?m)^\|[^|]*` + in + `[^|]*\|([^|]*)\|`).FindStringSubmatch(text)
			if row == nil || !strings.Contains(row[1], "`"+cmd.Name()+"`") {
				t.Errorf("the flag %s of %s is not there: %q", in, cmd.Name(), row)
			}
		})
	}
}
