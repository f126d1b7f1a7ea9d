package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
)

// pages are what is served, to be read only. Each asks for the status, so that none
// of them shows what was once true while a loop is stuck.
type pages struct {
	opts     Options
	examiner *examiner
}

func newPages(opts Options) *pages { return &pages{opts, newExaminer(opts.Examine)} }

func (p *pages) handler() http.Handler {
	mux := http.NewServeMux()
	for path, show := range map[string]func(http.ResponseWriter, *http.Request, []*deliver.Status){
		"/{$}":     p.index,
		"/healthz": p.healthz,
		"/readyz":  p.readyz,
		"/status":  p.status,
		"/metrics": p.metrics,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			all, err := p.ask(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			show(w, r, all)
		})
	}
	return mux
}

// ask asks one loop after the other: each answers at once, unless it is stuck.
func (p *pages) ask(ctx context.Context) (all []*deliver.Status, err error) {
	for _, status := range p.opts.Status {
		s, err := status(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (*pages) index(w http.ResponseWriter, _ *http.Request, _ []*deliver.Status) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, index) // whoever asked has gone away
}

func (*pages) healthz(w http.ResponseWriter, _ *http.Request, _ []*deliver.Status) {
	fmt.Fprintln(w, "ok")
}

func (*pages) readyz(w http.ResponseWriter, _ *http.Request, all []*deliver.Status) {
	var errs []error
	for _, s := range all {
		errs = append(errs, s.Ready())
	}
	if err := errors.Join(errs...); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (p *pages) status(w http.ResponseWriter, r *http.Request, all []*deliver.Status) {
	found, err := p.examiner.find(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = check.Encode(w, document(all, found)) // whoever asked has gone away
}

func (p *pages) metrics(w http.ResponseWriter, _ *http.Request, all []*deliver.Status) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(metrics(all, p.opts.Notifications)) // whoever asked has gone away
}

// ruleStatus is a rule's part of the page /status.
type ruleStatus struct {
	Version string `json:"version,omitempty"` // of a rule that has no name
	*deliver.Status
	Check *check.Report `json:"check"` // as podsignal check --json prints it
}

// document is the page /status: with RULES, a list.
func document(all []*deliver.Status, found []*check.Report) any {
	rules := make([]ruleStatus, len(all))
	for i, s := range all {
		rules[i] = ruleStatus{Status: s.WithoutSecrets(), Check: found[i]}
		addUIDs(s.Targets, found[i].Processes)
	}
	if all[0].Rule == "" {
		rules[0].Version = build.Version
		return rules[0]
	}
	return struct {
		Version string       `json:"version"`
		Rules   []ruleStatus `json:"rules"`
	}{build.Version, rules}
}

// addUIDs adds what podsignal check has found of the targets.
func addUIDs(targets []deliver.TargetStatus, found []check.ProcessReport) {
	for i := range targets {
		for _, p := range found {
			if p.PID == targets[i].PID {
				targets[i].UID = &p.UID
			}
		}
	}
}

// index is the page /.
const index = `<!DOCTYPE html>
<html lang="en">
<title>podsignal</title>
<h1>podsignal</h1>
<ul>
<li><a href="healthz">/healthz</a>: whether the delivery loop turns
<li><a href="readyz">/readyz</a>: whether the files and the targets are as they should be, and else why not
<li><a href="status">/status</a>: files, targets, what is pending, and what podsignal check finds
<li><a href="metrics">/metrics</a>: for Prometheus
</ul>
</html>
`
