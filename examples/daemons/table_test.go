package daemons_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/programs"
)

// The columns of the tables. README.md at the top has some of the first's.
const (
	fitHeader   = "| program | `PROCESS` | `SIGNAL` | runs as | with a broken configuration it | a reload closes |"
	unfitHeader = "| program | `PROCESS` | `SIGNAL` | what the signal does |"
	validHeader = "| program | `VALIDATE` | files of the test |"
	topHeader   = "| program | `PROCESS` | `SIGNAL` | runs as | with a broken configuration it |"
)

// TestTables holds README.md's two tables against what TestDaemons sees.
func TestTables(t *testing.T) {
	content, err := os.ReadFile("README.md")
	check(t, err)
	var fit, unfit, valid []string
	for _, d := range slices.SortedFunc(slices.Values(daemons), byName) {
		if !d.unfit() {
			fit = append(fit, fmt.Sprintf("| %s | %s | `%s` | %s | %s (`%s`) | %s |",
				d.title(), d.match(), d.signal, d.runsAs(), d.about().Broken, d.outcome(false), d.lost))
		} else {
			unfit = append(unfit, fmt.Sprintf("| %s | %s | `%s` | %s |", d.title(), d.match(), d.signal, d.about().OnHUP))
		}
	}
	for _, p := range programs.All {
		for _, d := range daemons {
			if d.validate == "" || d.about().Name != p.Name || d.name == "nginx-unprivileged" {
				continue
			}
			_, arguments, _ := strings.Cut(p.Validate, " ")
			_, rest, _ := strings.Cut(d.validate, " ")
			more, begins := strings.CutPrefix(rest, arguments)
			if !begins {
				t.Errorf("%s is tested with %s, and the table says %s", p.Name, d.validate, p.Validate)
			}
			valid = append(valid, strings.TrimRight(fmt.Sprintf("| %s | `%s` | %s", p.Name, p.Validate, code(more)), " ")+" |")
		}
		if p.Validate != "" && !slices.ContainsFunc(daemons, func(d daemon) bool { return d.validate != "" && d.about().Name == p.Name }) {
			t.Errorf("%s has a validator that is not tested", p.Name)
		}
	}
	for header, want := range map[string][]string{
		fitHeader:   fit,
		unfitHeader: unfit,
		validHeader: valid,
	} {
		if diff := cmp.Diff(want, table(string(content), header)); diff != "" {
			t.Errorf("README.md's table %s differs from what is tested (-tested +README):\n%s", header, diff)
		}
	}
}

// code is what is written as such; empty for nothing.
func code(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	return "`" + s + "`"
}

// TestTablesOfReadme holds the programs in the README.md at the top against the page here.
func TestTablesOfReadme(t *testing.T) {
	here, err := os.ReadFile("README.md")
	check(t, err)
	top, err := os.ReadFile("../../README.md")
	check(t, err)
	want := make(map[string]row)
	for _, r := range rows(t, string(here), fitHeader) {
		want[r["program"]] = r
	}
	got := rows(t, string(top), topHeader)
	if len(got) == 0 {
		t.Fatalf("the README.md at the top has no table of programs with the header\n%s", topHeader)
	}
	for _, r := range got {
		w, found := want[r["program"]]
		if !found {
			t.Errorf("the README.md at the top has the program %q, which examples/daemons/README.md does not have", r["program"])
			continue
		}
		for column, cell := range r {
			if cell != w[column] {
				t.Errorf("%s, column %q: the README.md at the top has %q, examples/daemons/README.md %q",
					r["program"], column, cell, w[column])
			}
		}
	}
}

// A row has its cells by the names of their columns, with the text of links only.
type row map[string]string

// rows returns those below a header.
func rows(t *testing.T, page, header string) []row {
	t.Helper()
	columns := cells(header)
	var all []row
	for _, line := range table(page, header) {
		r, values := make(row), cells(line)
		if len(values) != len(columns) {
			t.Fatalf("not %d columns: %s", len(columns), line)
		}
		for i, cell := range values {
			r[columns[i]] = linkMark.ReplaceAllString(cell, "$1")
		}
		all = append(all, r)
	}
	return all
}

var linkMark = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

func cells(line string) []string {
	cells := strings.Split(strings.Trim(line, "| "), "|")
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(cell)
	}
	return cells
}

func byName(a, b daemon) int {
	return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name))
}

// title links to the daemon's folder, where it has one.
func (d daemon) title() string {
	if d.folder == "" {
		return d.name
	}
	return fmt.Sprintf("[%s](../%s)", d.name, d.folder)
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
