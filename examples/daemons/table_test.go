package daemons_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTables holds README.md's two tables against what TestDaemons sees.
func TestTables(t *testing.T) {
	content, err := os.ReadFile("../../README.md")
	check(t, err)
	var fit, unfit []string
	for _, d := range slices.SortedFunc(slices.Values(daemons), byName) {
		if d.unfit == "" {
			fit = append(fit, fmt.Sprintf("| %s | %s | `%s` | %s | %s (`%s`) | %s |",
				d.title(), d.match(), d.signal, d.runsAs(), d.broken, d.outcome, d.lost))
		} else {
			unfit = append(unfit, fmt.Sprintf("| %s | %s | `%s` | %s |", d.title(), d.match(), d.signal, d.unfit))
		}
	}
	for header, want := range map[string][]string{
		"| program | `PROCESS` | `SIGNAL` | runs as | with a broken configuration it | a reload closes |": fit,
		"| program | `PROCESS` | `SIGNAL` | what the signal does |":                                       unfit,
	} {
		if diff := cmp.Diff(want, table(string(content), header)); diff != "" {
			t.Errorf("README.md's table %s differs from what is tested (-tested +README):\n%s", header, diff)
		}
	}
}

func byName(a, b daemon) int {
	return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name))
}

// title links to the daemon's folder, where it has one.
func (d daemon) title() string {
	if d.folder == "" {
		return d.name
	}
	return fmt.Sprintf("[%s](examples/%s)", d.name, d.folder)
}

// match is PROCESS, and CMDLINE where it takes both to find the process.
func (d daemon) match() string {
	match := "`" + d.process + "`"
	for _, variable := range d.env {
		if strings.HasPrefix(variable, "CMDLINE=") {
			match += ", `" + variable + "`"
		}
	}
	return match
}

func (d daemon) runsAs() string {
	switch {
	case d.as != "":
		return "as started"
	case d.owner() == "root":
		return "root"
	default:
		return "`" + d.owner() + "`, started by root"
	}
}

// table returns the rows below a header.
func table(page, header string) []string {
	_, below, found := strings.Cut(page, header+"\n")
	if !found {
		return nil
	}
	_, below, _ = strings.Cut(below, "\n") // the line of dashes
	var rows []string
	for line := range strings.Lines(below) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, strings.TrimSpace(line))
	}
	return rows
}
