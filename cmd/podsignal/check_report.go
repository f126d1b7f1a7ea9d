package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// print prints them one below the other, each under the name of its rule.
func (r *reports) print(out io.Writer) error {
	for i, one := range r.Rules {
		if one.Rule != "" {
			if _, err := fmt.Fprintf(out, "%srule %s\n\n", strings.Repeat("\n", min(i, 1)), one.Rule); err != nil {
				return err
			}
		}
		if err := one.print(out); err != nil {
			return err
		}
	}
	return nil
}

// print writes the report for people: a line for each finding, the tree of the
// processes after its own, and the verdict.
func (r *report) print(out io.Writer) error {
	var b bytes.Buffer
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-4s  %-10s  %s\n", f.Level.word(), f.About, oneLine(f.Text))
		if f.About == "process" && f.PID == 0 {
			r.printTree(&b)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.verdict())
	_, err := b.WriteTo(out)
	return err
}

func (l level) word() string {
	if l == levelFail {
		return "FAIL" // to be found at a glance
	}
	return string(l)
}

// printTree relies on parents standing before their children.
func (r *report) printTree(b *bytes.Buffer) {
	depth := make(map[int]int, len(r.Processes))
	for _, p := range r.Processes {
		if above, ok := depth[p.Parent]; ok {
			depth[p.PID] = above + 1
		} else {
			depth[p.PID] = 0
		}
		fmt.Fprintf(b, "%18s%s%s (pid %d, parent %d, uid %d): %s\n", "",
			strings.Repeat("   ", depth[p.PID]), printable(p.Name), p.PID, p.Parent, p.UID, p.Role)
	}
}

// verdict is the last line.
func (r *report) verdict() string {
	n := make(map[level]int)
	for _, f := range r.Findings {
		n[f.Level]++
	}
	warnings := ""
	if n[levelWarn] > 0 {
		warnings = ", with " + count(n[levelWarn], "warning")
	}
	if n[levelFail] > 0 {
		return fmt.Sprintf("FAIL: podsignal would not work: %s to mend%s", count(n[levelFail], "fault"), warnings)
	}
	if r.URL != "" {
		return fmt.Sprintf("%s: podsignal would work%s: a change calls %s", r.Verdict, warnings, r.URL)
	}
	return fmt.Sprintf("%s: podsignal would work%s: a change sends %s to %s", r.Verdict, warnings, r.Signal, r.targets())
}

func (r *report) targets() string {
	var all []string
	for _, p := range r.Processes {
		if p.Role == "target" {
			all = append(all, fmt.Sprintf("%s (pid %d)", printable(p.Name), p.PID))
		}
	}
	return strings.Join(all, ", ")
}

// worst is the verdict: the worst of all levels.
func (r *report) worst() level {
	worst := levelOK
	for _, f := range r.Findings {
		worst = worse(worst, f.Level)
	}
	return worst
}

// worse is the worse of two levels.
func worse(a, b level) level {
	if a == levelFail || b == levelOK {
		return a
	}
	return b
}

// oneLine keeps a finding on its line: joined errors have several, and names of
// files and processes may hold anything.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
}

// printable quotes a name that does not print as it is.
func printable(name string) string {
	if strings.IndexFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 {
		return name
	}
	return strconv.Quote(name)
}
