// Package check is podsignal check: whether podsignal would work here, and what to fix if
// not.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/hold"
	"github.com/podsignal/podsignal/cmd/internal/status"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// ErrWouldNotWork follows a report that has said why.
var ErrWouldNotWork = errors.New("podsignal would not work")

// Run prints what would keep podsignal from working, and what would fix it. It changes
// nothing, and sends nothing but signal 0; the command of VALIDATE is run once. The error is
// ErrWouldNotWork if the report says so.
func Run(ctx context.Context, cfg config.Config, out io.Writer, asJSON bool) error {
	all := reports{Verdict: LevelOK}
	var err error
	if all.Rules, err = Examine(ctx, cfg); err != nil {
		return err
	}
	for i, r := range all.Rules {
		r.validate(ctx, cfg.Rules[i])
		all.Verdict = worse(all.Verdict, r.Verdict)
	}
	switch {
	case !asJSON:
		err = all.print(out)
	case cfg.Rules[0].Name == "":
		err = Encode(out, all.Rules[0])
	default:
		err = Encode(out, all)
	}
	if err == nil && all.Verdict == LevelFail {
		return ErrWouldNotWork
	}
	return err
}

// Encode writes a document of JSON, to be read by people too.
func Encode(out io.Writer, document any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

// Examine makes the report of each rule. It runs no command.
func Examine(ctx context.Context, cfg config.Config) (all []*Report, err error) {
	running, _ := status.Read() // without a podsignal beside it, only what is visible is reported
	for _, rule := range cfg.Rules {
		r, err := examine(ctx, cfg.Typos, rule)
		if err != nil {
			return nil, config.InRule(rule.Name, err)
		}
		for _, d := range running {
			if d.Rule == rule.Name && d.Process == rule.Process && slices.Equal(d.Files, rule.Files.Paths) {
				r.state(d.Status)
			}
		}
		r.Verdict = r.worst()
		all = append(all, r)
	}
	return all, nil
}

// examine makes the report of one rule.
func examine(ctx context.Context, typos []config.Typo, rule config.Rule) (*Report, error) {
	files, err := watcher.Describe(ctx, rule.WatcherOptions(nil, nil))
	if err != nil {
		return nil, err
	}
	r := &Report{
		Version: build.Version,
		Rule:    rule.Name,
		UID:     os.Geteuid(),
		Process: rule.Process,
		Folders: append([]string{}, files.Folders...), // in JSON an empty list, not null
	}
	if rule.Reload != nil {
		r.URL = rule.Reload.Shown()
	} else {
		r.Signal = signal.Name(rule.Signal)
	}
	for _, typo := range typos {
		r.add(LevelWarn, "config", "%v", typo).common = true
	}
	if fix := rule.WrongSignal(); fix != "" {
		r.add(LevelWarn, "config", "%s", fix)
	}
	for _, setting := range rule.Lacking() {
		r.add(LevelWarn, "config", "%s needs %s: set it", rule.Program().Name, setting)
	}
	if rule.Files.Found {
		r.add(LevelOK, "config", "FILE is not set and means the %s mounted here", count(len(rule.Files.Paths), "volume"))
	}
	r.files(files)
	r.watches(files)
	if rule.Process != "" {
		survey, err := signal.Look(ctx, rule.FinderOptions(nil), rule.Signal)
		if err != nil {
			return nil, err
		}
		r.Visible, r.Shared = survey.Visible, survey.Shared
		r.processes(survey)
	}
	if rule.Reload != nil {
		r.reload(rule.Reload.Method, rule.Reload.Probe(ctx))
	}
	if rule.Splay.Within > 0 {
		r.add(LevelOK, "config", "SPLAY=%v: a signal waits %v, the share of %s", rule.Splay.Within, rule.Splay.Share.Round(time.Millisecond), rule.Splay.Hostname)
	}
	if rule.Hold != "" {
		r.hold(rule.Hold, hold.Read(rule.Hold))
	}
	if rule.DryRun {
		r.add(LevelWarn, "config", "DRY_RUN is set: what would be done is only logged; unset it")
	}
	return r, nil
}

// hold reports what HOLD says.
func (r *Report) hold(file string, a hold.Approvals) {
	switch {
	case a.Err != nil:
		r.add(LevelWarn, "config", "HOLD=%s cannot be read, so every change is held: %v: mount its volume here, or fix HOLD", file, a.Err)
	case a.Odd != 0:
		r.add(LevelWarn, "config", "HOLD=%s has %s, and line %d is none: use the 64 digits that podsignal status --json has", file, count(a.Len(), "digest"), a.Odd)
	default:
		r.add(LevelOK, "config", "HOLD=%s has %s; any other change is held", file, count(a.Len(), "digest"))
	}
}

// reload reports what a call would meet. None is made, for that would be a reload.
func (r *Report) reload(method string, err error) {
	if err != nil {
		r.add(LevelFail, "url", "%s %s: %v", method, r.URL, err)
		return
	}
	trusted := ""
	if strings.HasPrefix(r.URL, "https:") {
		trusted = ", and trusts its certificate"
	}
	r.add(LevelOK, "url", "%s %s: podsignal can connect%s; the request was not sent, for that would be a reload", method, r.URL, trusted)
}
