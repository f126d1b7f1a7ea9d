package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
)

// ErrNotInSync follows a status that has said why.
var ErrNotInSync = errors.New("not in sync")

// stuckAfter is how much later than it is due a document may be: a node may be busy.
const stuckAfter = 5 * time.Second

// Run prints the status of the podsignal in this container. The error is ErrNotInSync if what is
// on disk is not what all targets run, as far as is known, and ErrNoSidecar if there is none.
func Run(out io.Writer, asJSON bool) error {
	all, err := Read()
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(out, all)
	} else {
		err = printText(out, all, time.Now())
	}
	if err == nil && len(problems(all, time.Now())) > 0 {
		return ErrNotInSync
	}
	return err
}

func printJSON(out io.Writer, all []Document) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if len(all) == 1 && all[0].Rule == "" {
		return enc.Encode(all[0])
	}
	return enc.Encode(struct {
		Rules []Document `json:"rules"`
	}{all})
}

// printText prints a line for each rule and target, and a verdict.
func printText(out io.Writer, all []Document, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rules := len(all) > 1 || all[0].Rule != ""
	line := func(rule string, cells ...string) {
		if rules {
			cells = append([]string{rule}, cells...)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	line("RULE", "TARGET", "ON DISK", "DELIVERED", "RUNNING", "REJECTED", "SINCE", "OUTCOME")
	for _, d := range all {
		if len(d.Targets) == 0 {
			d.Targets = []deliver.TargetStatus{{}}
		}
		for _, t := range d.Targets {
			rejection, outcome := t.Rejected, string(t.Outcome)
			if rejection == nil {
				rejection = d.Rejected
			}
			var rejected *deliver.Digest
			if rejection != nil {
				rejected, outcome = &rejection.Digest, string(rejection.Outcome)
			}
			line(d.Rule, d.target(t), digest(d.OnDisk), digest(t.Delivered), digest(t.Running), digest(rejected),
				age(now, rejected, t.Running, t.Delivered, d.OnDisk), dash(outcome))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	waiting := held(all)
	for _, line := range waiting {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	wrong := problems(all, now)
	for _, p := range wrong {
		if _, err := fmt.Fprintln(out, "FAIL:", p); err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		return nil
	}
	verdict := "ok: in sync"
	if len(waiting) > 0 {
		verdict = "ok: in sync but for what is held"
	}
	_, err := fmt.Fprintln(out, verdict)
	return err
}

// held says what is held, and until when: that is no problem.
func held(all []Document) (lines []string) {
	for _, d := range all {
		if d.Held.IsZero() {
			continue
		}
		for _, p := range d.Paths {
			if p.Unapproved {
				lines = append(lines, config.InRule(d.Rule, fmt.Errorf("held until %s has the digest of %s: %s", d.Hold, p.Path, p.Digest)).Error())
			}
		}
	}
	return lines
}

// target names one.
func (d *Document) target(t deliver.TargetStatus) string {
	switch {
	case t.PID != 0:
		return fmt.Sprintf("%s (pid %d)", d.Process, t.PID)
	case d.Process != "":
		return d.Process
	default:
		return d.URL
	}
}

func digest(d *deliver.Digest) string {
	if d == nil {
		return "-"
	}
	return d.Digest
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is how long the first of the digests has been so that there is.
func age(now time.Time, digests ...*deliver.Digest) string {
	for _, d := range digests {
		if d != nil && !d.Since.IsZero() {
			return now.Sub(d.Since.Time).Truncate(time.Second).String()
		}
	}
	return "-"
}

// problems are all reasons why something is not in sync.
func problems(all []Document, now time.Time) (wrong []string) {
	for _, d := range all {
		add := func(format string, args ...any) {
			wrong = append(wrong, config.InRule(d.Rule, fmt.Errorf(format, args...)).Error())
		}
		if !d.Due.IsZero() && now.Sub(d.Due.Time) > stuckAfter {
			add("the delivery loop is stuck: it should have turned by %s", d.Due.UTC().Format(time.RFC3339))
		}
		for _, p := range d.Problems() {
			add("%s", p)
		}
	}
	return wrong
}
