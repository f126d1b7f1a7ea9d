package check

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// print prints them one below the other, each under the name of its rule. What is the
// same for all of them comes first, once.
func (r *reports) print(out io.Writer) error {
	if len(r.Rules) > 1 {
		var b bytes.Buffer
		printFindings(&b, r.common(), nil)
		b.WriteByte('\n')
		if _, err := b.WriteTo(out); err != nil {
			return err
		}
	}
	for i, one := range r.Rules {
		if one.Rule != "" {
			if _, err := fmt.Fprintf(out, "%srule %s\n\n", strings.Repeat("\n", min(i, 1)), one.Rule); err != nil {
				return err
			}
		}
		findings := one.Findings
		if len(r.Rules) > 1 {
			findings = slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.common })
		}
		if err := one.printOnly(out, findings); err != nil {
			return err
		}
	}
	return nil
}

// common are the findings that are not about one rule, each once. Of inotify there is the
// worst, or what is needed for all rules, which share an instance; of the namespace the
// worst, since the number of processes may change from rule to rule.
func (r *reports) common() (all []Finding) {
	folders := make(map[string]bool)
	for _, one := range r.Rules {
		for _, folder := range one.Folders {
			folders[folder] = true
		}
		for _, f := range one.Findings {
			if !f.common {
				continue
			}
			i := slices.IndexFunc(all, func(other Finding) bool {
				return other.About == f.About && (f.About != "config" || other.Text == f.Text)
			})
			switch {
			case i < 0:
				all = append(all, f)
			case worse(f.Level, all[i].Level) != all[i].Level:
				all[i] = f
			}
		}
	}
	for i, f := range all {
		if f.About == "inotify" && f.Level == LevelOK {
			all[i].Text = r.Rules[0].available(len(folders))
		}
	}
	return all
}

// Print writes the report for people: a line for each finding, the tree of the
// processes after its own, and the verdict.
func (r *Report) Print(out io.Writer) error { return r.printOnly(out, r.Findings) }

// printOnly is print with some of the findings; the verdict counts all.
func (r *Report) printOnly(out io.Writer, findings []Finding) error {
	var b bytes.Buffer
	printFindings(&b, findings, r)
	fmt.Fprintf(&b, "\n%s\n", r.verdict())
	_, err := b.WriteTo(out)
	return err
}

func printFindings(b *bytes.Buffer, findings []Finding, of *Report) {
	for _, f := range findings {
		fmt.Fprintf(b, "%-4s  %-10s  %s\n", f.Level.word(), f.About, oneLine(f.Text))
		if f.About == "process" && f.PID == 0 {
			of.printTree(b)
		}
	}
}

func (l Level) word() string {
	if l == LevelFail {
		return "FAIL" // to be found at a glance
	}
	return string(l)
}

// printTree relies on parents standing before their children.
func (r *Report) printTree(b *bytes.Buffer) {
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
func (r *Report) verdict() string {
	n := make(map[Level]int)
	for _, f := range r.Findings {
		n[f.Level]++
	}
	warnings := ""
	if n[LevelWarn] > 0 {
		warnings = ", with " + count(n[LevelWarn], "warning")
	}
	if n[LevelFail] > 0 {
		return fmt.Sprintf("FAIL: podsignal would not work: %s to fix%s", count(n[LevelFail], "error"), warnings)
	}
	if r.URL != "" {
		return fmt.Sprintf("%s: podsignal would work%s: a change calls %s", r.Verdict, warnings, r.URL)
	}
	return fmt.Sprintf("%s: podsignal would work%s: a change sends %s to %s", r.Verdict, warnings, r.Signal, r.targets())
}

func (r *Report) targets() string {
	var all []string
	for _, p := range r.Processes {
		if p.Role == "target" {
			all = append(all, fmt.Sprintf("%s (pid %d)", printable(p.Name), p.PID))
		}
	}
	return strings.Join(all, ", ")
}

// worst is the verdict: the worst of all levels.
func (r *Report) worst() Level {
	worst := LevelOK
	for _, f := range r.Findings {
		worst = worse(worst, f.Level)
	}
	return worst
}

// worse is the worse of two levels.
func worse(a, b Level) Level {
	if a == LevelFail || b == LevelOK {
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
