package command

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

func printReports(out io.Writer, all []*fleet.Report, s fleet.Summary, namespaces bool, o output) error {
	if o == asJSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(documentOf(all, s))
	}
	if len(all) == 0 {
		return nil // the error says it
	}
	if err := printTable(out, all, namespaces, o == asWide); err != nil {
		return err
	}
	for _, r := range all {
		if why := r.Why(); why != "" {
			if _, err := fmt.Fprintf(out, "%s: %s: %s\n", name(r, namespaces), r.Verdict, printers.EscapeTerminal(why)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(out, s)
	return err
}

// printTable prints a row for each pod and rule.
func printTable(out io.Writer, all []*fleet.Report, namespaces, wide bool) error {
	table := printers.GetNewTabWriter(out)
	rules := slices.ContainsFunc(all, func(r *fleet.Report) bool {
		return len(r.Rules) > 1 || len(r.Rules) == 1 && r.Rules[0].Status.Rule != ""
	})
	row := func(namespace, pod, rule, node, file string, cells ...string) {
		line := []string{pod}
		if namespaces {
			line = []string{namespace, pod}
		}
		if rules {
			line = append(line, rule)
		}
		line = append(append(line, node), cells...)
		if wide {
			line = append(line, file)
		}
		for i := range line {
			line[i] = printers.EscapeTerminal(cmp.Or(line[i], "-"))
		}
		fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	row("NAMESPACE", "POD", "RULE", "NODE", "FILE", "PROCESS", "ON DISK", "RUNNING", "WANTED", "OUTCOME", "AGE", "VERDICT")
	for _, r := range all {
		p := r.Pod
		if len(r.Rules) == 0 {
			row(p.Namespace, p.Name, "", p.Spec.NodeName, "", "", "", "", "", "", "", string(r.Verdict))
		}
		for i := range r.Rules {
			rule := &r.Rules[i]
			verdict := rule.Verdict
			if r.Reason != "" || !r.Verdict.Counts() {
				verdict = r.Verdict // which is of the pod
			}
			var files []string
			for _, path := range rule.Paths {
				files = append(files, path.Path.Path)
			}
			row(p.Namespace, p.Name, rule.Status.Rule, p.Spec.NodeName, strings.Join(files, ","),
				cmp.Or(rule.Status.Process, rule.Status.URL), rule.OnDisk(), rule.Running(), rule.Wanted(), rule.Outcome(), age(rule.Since()), string(verdict))
		}
	}
	return table.Flush()
}

func name(r *fleet.Report, namespaces bool) string {
	if namespaces {
		return r.Pod.Namespace + "/" + r.Pod.Name
	}
	return r.Pod.Name
}

func age(since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return duration.HumanDuration(time.Since(since))
}

// document is what -o json prints.
type document struct {
	Pods    []podDocument `json:"pods"`
	Summary summary       `json:"summary"`
}

type summary struct {
	Counted int                   `json:"counted"`
	Live    int                   `json:"live"`
	Pods    map[fleet.Verdict]int `json:"pods"` // how many have each verdict
}

type podDocument struct {
	Namespace string         `json:"namespace"`
	Pod       string         `json:"pod"`
	Node      string         `json:"node,omitempty"`
	Container string         `json:"container,omitempty"`
	Verdict   fleet.Verdict  `json:"verdict"`
	Counted   bool           `json:"counted"`
	Reason    string         `json:"reason,omitempty"`
	Rules     []ruleDocument `json:"rules,omitempty"`
}

type ruleDocument struct {
	Rule    string         `json:"rule,omitempty"`
	Process string         `json:"process,omitempty"`
	URL     string         `json:"url,omitempty"`
	Verdict fleet.Verdict  `json:"verdict"`
	Reason  string         `json:"reason,omitempty"`
	Outcome string         `json:"outcome,omitempty"`
	OnDisk  string         `json:"on_disk,omitempty"`
	Running string         `json:"running,omitempty"`
	Since   *time.Time     `json:"since,omitempty"`
	Paths   []pathDocument `json:"paths"`
}

type pathDocument struct {
	Path   string  `json:"path"`
	Digest string  `json:"digest,omitempty"`
	Wanted *string `json:"wanted,omitempty"` // "": nothing is to be there; left out: it is not known
	Secret bool    `json:"secret,omitempty"`
	Local  bool    `json:"local,omitempty"`
}

func documentOf(all []*fleet.Report, s fleet.Summary) document {
	d := document{Pods: []podDocument{}, Summary: summary{s.Counted, s.By[fleet.Live], s.By}}
	for _, r := range all {
		p := podDocument{
			Namespace: r.Pod.Namespace, Pod: r.Pod.Name, Node: r.Pod.Spec.NodeName,
			Verdict: r.Verdict, Counted: r.Verdict.Counts(), Reason: r.Reason,
		}
		if r.Sidecar != nil {
			p.Container = r.Sidecar.Container.Name
		}
		for i := range r.Rules {
			p.Rules = append(p.Rules, ruleOf(&r.Rules[i]))
		}
		d.Pods = append(d.Pods, p)
	}
	return d
}

func ruleOf(rule *fleet.Rule) ruleDocument {
	d := ruleDocument{
		Rule: rule.Status.Rule, Process: rule.Status.Process, URL: rule.Status.URL,
		Verdict: rule.Verdict, Reason: rule.Reason, Outcome: rule.Outcome(),
		OnDisk: rule.OnDisk(), Running: rule.Running(), Paths: []pathDocument{},
	}
	if since := rule.Since(); !since.IsZero() {
		d.Since = &since
	}
	for i := range rule.Paths {
		p := &rule.Paths[i]
		path := pathDocument{Path: p.Path.Path, Digest: p.Digest, Secret: p.Secret, Local: p.Local}
		if p.Known {
			path.Wanted = &p.Wanted
		}
		d.Paths = append(d.Paths, path)
	}
	return d
}
