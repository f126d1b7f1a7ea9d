package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// errWouldNotWork makes the exit code 1 after a report that has said why.
var errWouldNotWork = errors.New("podsignal would not work")

// level is how good or bad something is.
type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn" // it works, but not as well as it could
	levelFail level = "fail" // it does not work
)

// A report is what podsignal check finds. With --json it is printed as it is:
// fields may be added to it, but none is renamed or removed.
type report struct {
	Version   string          `json:"version"`
	Rule      string          `json:"rule,omitempty"`
	UID       int             `json:"uid"` // podsignal's
	Process   string          `json:"process,omitempty"`
	Signal    string          `json:"signal,omitempty"` // its name without SIG
	URL       string          `json:"url,omitempty"`    // that is called instead
	Verdict   level           `json:"verdict"`
	Findings  []finding       `json:"findings"`
	Files     []fileReport    `json:"files"`
	Folders   []string        `json:"folders"` // to be watched
	Inotify   inotifyReport   `json:"inotify"`
	InSight   int             `json:"processes_in_sight"`
	Shared    bool            `json:"process_namespace_shared"`
	Processes []processReport `json:"processes"` // that match; parents before children
	Near      []nearReport    `json:"near,omitempty"`
}

// A finding is a line of the report.
type finding struct {
	Level level  `json:"level"`
	About string `json:"about"` // file, watch, inotify, namespace, process, permission, handler, volume, url or config
	PID   int    `json:"pid,omitempty"`
	File  string `json:"file,omitempty"`
	Text  string `json:"text"` // what was found, and the mend

	common bool // it is not about one of several rules
}

// fileReport is a path of FILE.
type fileReport struct {
	Path     string          `json:"path"`
	Kind     string          `json:"kind"`  // watcher.Kind
	Files    int             `json:"files"` // that it shows
	SubPaths []subPathReport `json:"subpath_mounts,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// subPathReport is a mount that does not show what replaces its file or folder.
type subPathReport struct {
	Mount string `json:"mount"`
	Kind  string `json:"kind"`  // signal.MountKind
	Stale bool   `json:"stale"` // an update has passed it by already
}

// inotifyReport counts what this uid has taken, as far as it is in sight. A limit
// of 0 is unknown.
type inotifyReport struct {
	Instances    int    `json:"instances"`
	MaxInstances int    `json:"max_instances"`
	Watches      int    `json:"watches"`
	MaxWatches   int    `json:"max_watches"`
	Error        string `json:"error,omitempty"` // why none can be had
}

// processReport is a process that matches.
type processReport struct {
	PID    int           `json:"pid"`
	Parent int           `json:"parent"`
	UID    int           `json:"uid"`
	Name   string        `json:"name"`
	Role   string        `json:"role"`             // signal.Role
	Orphan bool          `json:"orphan,omitempty"` // signal.Process
	Target *targetReport `json:"target,omitempty"`
}

// targetReport is what is known of a target alone.
type targetReport struct {
	Permitted bool          `json:"permitted"`
	Handling  string        `json:"handling,omitempty"` // signal.Handling
	Runtime   string        `json:"runtime,omitempty"`  // Go, Java or Node
	Mounts    []mountReport `json:"mounts"`
}

// mountReport is how a target mounts what one or more paths of FILE lie on.
type mountReport struct {
	Own      string          `json:"own"`               // where podsignal mounts it
	Folders  []string        `json:"folders,omitempty"` // where the target does, and sees updates
	SubPaths []subPathReport `json:"subpath_mounts,omitempty"`
}

// nearReport is a process that may be meant instead.
type nearReport struct {
	PID     int    `json:"pid"`
	Name    string `json:"name"`              // what PROCESS would have to be
	Cmdline string `json:"cmdline,omitempty"` // and CMDLINE, where the name alone does not tell
	Why     string `json:"why"`
}

// reports are those of several rules.
type reports struct {
	Verdict level     `json:"verdict"`
	Rules   []*report `json:"rules"`
}

// check prints what would keep podsignal from working, and what would mend it.
// It changes nothing, and sends nothing but signal 0.
func check(ctx context.Context, out io.Writer, asJSON bool) error {
	cfg, err := loadConfig()
	if err != nil {
		return configError{err}
	}
	all := reports{Verdict: levelOK}
	if all.Rules, err = examineAll(ctx, cfg); err != nil {
		return err
	}
	for _, r := range all.Rules {
		all.Verdict = worse(all.Verdict, r.Verdict)
	}
	switch {
	case !asJSON:
		err = all.print(out)
	case cfg.rules[0].name == "":
		err = encode(out, all.Rules[0])
	default:
		err = encode(out, all)
	}
	if err == nil && all.Verdict == levelFail {
		return errWouldNotWork
	}
	return err
}

// encode writes a document of JSON, to be read by people too.
func encode(out io.Writer, document any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

// examineAll makes the report of each rule.
func examineAll(ctx context.Context, cfg config) (all []*report, err error) {
	for _, rule := range cfg.rules {
		r, err := examine(ctx, cfg, rule)
		if err != nil {
			return nil, inRule(rule.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// examine makes the report of one rule.
func examine(ctx context.Context, cfg config, rule rule) (*report, error) {
	files, err := watcher.Describe(ctx, watcherOptions(rule, nil, nil))
	if err != nil {
		return nil, err
	}
	r := &report{
		Version: version,
		Rule:    rule.name,
		UID:     os.Geteuid(),
		Process: rule.process,
		Folders: append([]string{}, files.Folders...), // in JSON an empty list, not null
	}
	if rule.reload != nil {
		r.URL = shownURL(rule.reload.url)
	} else {
		r.Signal = signal.Name(rule.signal)
	}
	for _, doubt := range cfg.doubts {
		r.add(levelWarn, "config", "%v", doubt).common = true
	}
	if rule.found {
		r.add(levelOK, "config", "FILE is not set, and stands for %s mounted here", count(len(rule.files), "volume"))
	}
	r.files(files)
	r.watches(files)
	if rule.process != "" {
		survey, err := signal.Look(ctx, finderOptions(rule, nil), rule.signal)
		if err != nil {
			return nil, err
		}
		r.InSight, r.Shared = survey.InSight, survey.Shared
		r.processes(survey)
	}
	if rule.reload != nil {
		r.reload(ctx, newReloader(*rule.reload))
	}
	if rule.splay > 0 {
		r.add(levelOK, "config", "SPLAY=%v: a signal waits %v, the share of %s", rule.splay, rule.share.Round(time.Millisecond), rule.hostname)
	}
	if rule.dryRun {
		r.add(levelWarn, "config", "DRY_RUN is set: what would be done is only logged; unset it")
	}
	r.Verdict = r.worst()
	return r, nil
}

// reload reports what a call would meet. It makes none, for that would be a reload: it
// connects, and hangs up.
func (r *report) reload(ctx context.Context, client *reloader) {
	_, err := client.credentials()
	if err == nil {
		err = client.endpoint.connect(ctx)
	}
	if err != nil {
		r.add(levelFail, "url", "%s %s: %v", client.method, r.URL, err)
		return
	}
	trusted := ""
	if strings.HasPrefix(r.URL, "https:") {
		trusted = ", and trusts its certificate"
	}
	r.add(levelOK, "url", "%s %s: podsignal can connect%s; the request was not sent, for that would be a reload", client.method, r.URL, trusted)
}
