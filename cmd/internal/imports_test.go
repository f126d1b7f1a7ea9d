package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// imports are what each package imports of podsignal's own, without tests. Change it when
// the direction of imports is to change: it is the architecture.
var imports = map[string]string{
	"signal/procfs": "",
	"signal":        "signal/procfs",
	"watcher":       "signal/procfs",

	"cmd/internal/build":      "",
	"cmd/internal/httpcall":   "",
	"cmd/internal/logging":    "",
	"cmd/internal/memory":     "",
	"cmd/programs":            "",
	"cmd/internal/install":    "",
	"cmd/internal/annotation": "signal",
	"cmd/internal/validate":   "",
	"cmd/internal/hold":       "watcher",
	"cmd/internal/inject":     "cmd/internal/annotation cmd/internal/config cmd/internal/validate cmd/programs signal",
	"cmd/internal/verify":     "signal watcher",
	"cmd/internal/reload":     "cmd/internal/build cmd/internal/httpcall",
	"cmd/internal/notify":     "cmd/internal/build cmd/internal/httpcall cmd/internal/verify",
	"cmd/internal/config":     "cmd/internal/notify cmd/internal/reload cmd/internal/validate cmd/internal/verify cmd/programs signal watcher",
	"cmd/internal/deliver":    "cmd/internal/config cmd/internal/hold cmd/internal/memory cmd/internal/notify cmd/internal/reload cmd/internal/validate cmd/internal/verify signal watcher",
	"cmd/internal/status":     "cmd/internal/build cmd/internal/config cmd/internal/deliver",
	"cmd/internal/send":       "cmd/internal/config cmd/internal/deliver cmd/internal/hold cmd/internal/status cmd/internal/validate signal watcher",
	"cmd/internal/check":      "cmd/internal/build cmd/internal/config cmd/internal/deliver cmd/internal/hold cmd/internal/status cmd/internal/validate signal watcher",
	"cmd/internal/serve":      "cmd/internal/build cmd/internal/check cmd/internal/deliver",
	"cmd/podsignal": "cmd/internal/build cmd/internal/check cmd/internal/config cmd/internal/deliver cmd/internal/hold cmd/internal/inject cmd/internal/install cmd/internal/logging " +
		"cmd/internal/memory cmd/internal/notify cmd/internal/send cmd/internal/serve cmd/internal/status signal watcher",

	// A module of its own.
	"cmd/kubectl-podsignal":                  "cmd/kubectl-podsignal/internal/command",
	"cmd/kubectl-podsignal/internal/command": "cmd/internal/build cmd/kubectl-podsignal/internal/fleet cmd/kubectl-podsignal/internal/volume",
	"cmd/kubectl-podsignal/internal/fleet":   "cmd/kubectl-podsignal/internal/sidecar cmd/kubectl-podsignal/internal/volume",
	"cmd/kubectl-podsignal/internal/sidecar": "",
	"cmd/kubectl-podsignal/internal/volume":  "",
	"cmd/kubectl-podsignal/internal/apitest": "cmd/kubectl-podsignal/internal/volume",
}

func TestImports(t *testing.T) {
	const module, top = "github.com/podsignal/podsignal/", "../.."
	got := make(map[string]map[string]bool)
	for _, root := range []string{"cmd", "signal", "watcher"} {
		err := filepath.WalkDir(filepath.Join(top, root), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			folder, err := filepath.Rel(top, filepath.Dir(path))
			if err != nil {
				return err
			}
			if got[folder] == nil {
				got[folder] = make(map[string]bool)
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if ours, ok := strings.CutPrefix(imported, module); ok {
					got[folder][ours] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tests := range []string{"cmd/internal/bench", "cmd/internal/httpcall/calltest", "cmd/internal/logtest", "cmd/internal/pagetest", "cmd/release", "cmd/sbom", "signal/podtest", "watcher/volumetest"} {
		delete(got, tests) // no part of podsignal
	}
	for folder, packages := range got {
		want, ok := imports[folder]
		if !ok {
			t.Errorf("%s: say in the table what it may import", folder)
		}
		if diff := cmp.Diff(strings.Fields(want), slices.Sorted(maps.Keys(packages))); diff != "" && (want != "" || len(packages) > 0) {
			t.Errorf("%s (-may import +imports):\n%s", folder, diff)
		}
	}
	for folder := range imports {
		if got[folder] == nil {
			t.Errorf("%s: there is no such package", folder)
		}
	}
}
