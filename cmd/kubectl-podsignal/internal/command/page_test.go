package command

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/internal/pagetest"
	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

const readme = "../../README.md"

// TestPageOfJSON: README.md has the fields of -o json, those in italics that may be left out.
func TestPageOfJSON(t *testing.T) {
	pagetest.Compare(t, "README.md", pagetest.Fields(reflect.TypeFor[document]()), pagetest.Names(pagetest.Section(t, readme, "JSON")))
}

// TestPageOfVerdicts: README.md explains each verdict.
func TestPageOfVerdicts(t *testing.T) {
	var want []string
	for _, v := range fleet.Verdicts() {
		want = append(want, string(v))
	}
	pagetest.Compare(t, "README.md", want, pagetest.Names(pagetest.Section(t, readme, "Status")))
}

// TestPageOfCommands: README.md has all commands, and of each all flags that kubectl has not.
func TestPageOfCommands(t *testing.T) {
	kubectls := new(cobra.Command)
	query(kubectls)
	var code, onPage []string
	for _, cmd := range newRoot(genericiooptions.NewTestIOStreamsDiscard()).Commands() {
		code = append(code, cmd.Name())
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			shown := "--" + flag.Name
			switch {
			case kubectls.Flags().Lookup(flag.Name) != nil || slices.Contains([]string{"filename", "kustomize", "recursive"}, flag.Name):
				return
			case flag.Name == "output":
				shown = "-o"
			}
			code = append(code, cmd.Name()+" "+shown)
		})
	}
	commands, flags, _ := strings.Cut(pagetest.Section(t, readme, "Commands"), "| flag |")
	for _, name := range pagetest.Names(commands) {
		onPage = append(onPage, strings.Fields(name)[0])
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(-[^`]+)`[^|]*\\|([^|]*)\\|").FindAllStringSubmatch(flags, -1) {
		if strings.HasPrefix(row[2], " all but ") {
			continue // kubectl's own
		}
		for _, of := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(row[2], -1) {
			for _, flag := range pagetest.Names(row[0]) {
				onPage = append(onPage, of[1]+" "+flag)
			}
		}
	}
	pagetest.Compare(t, "README.md", code, onPage)
}

// TestPageOfExitCodes: README.md has each.
func TestPageOfExitCodes(t *testing.T) {
	source, err := os.ReadFile("command.go")
	if err != nil {
		t.Fatal(err)
	}
	all := func(pattern, text string) (codes []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			codes = append(codes, "exit code "+match[1])
		}
		return codes
	}
	pagetest.Compare(t, "README.md", all(`(?m)^\t+return (\d)$`, string(source)), all(`(?m)^\| (\d) \|`, pagetest.Section(t, readme, "Exit codes")))
}
