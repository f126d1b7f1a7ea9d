package serve

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
)

// A page is what Prometheus reads, in its text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). client_golang would
// cost each pod 2 MB of resident memory, whether or not anybody listens.
type page struct {
	bytes.Buffer
	family string // of the last line
}

// label is a name and its value.
type label [2]string

// escaped is what a label's value must not hold as it is.
var escaped = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// add adds a sample. Those of one family follow each other; suffix is a histogram's.
func (p *page) add(kind, name, suffix, help string, value float64, labels ...label) {
	name = "podsignal_" + name
	if p.family != name {
		p.family = name
		fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	p.WriteString(name + suffix)
	for i, l := range labels {
		fmt.Fprintf(p, `%c%s="%s"`, "{,"[min(i, 1)], l[0], escaped.Replace(l[1]))
	}
	if len(labels) > 0 {
		p.WriteByte('}')
	}
	fmt.Fprintf(p, " %s\n", strconv.FormatFloat(value, 'g', -1, 64))
}

// metrics gives all of them, of all rules: the lines of one family stand together. What
// may be missing for now (the digest) is then left out; times that have not come are 0,
// as in Prometheus' own metrics.
func metrics(rules []*deliver.Status, notifications func() (sent, failed, dropped uint64)) []byte {
	var p page
	gauge := func(name, help string, value float64, labels ...label) {
		p.add("gauge", name, "", help, value, labels...)
	}
	counter := func(name, help string, value uint64, labels ...label) {
		p.add("counter", name, "", help, float64(value), labels...)
	}
	// each adds the lines of one family for every rule, which has a label of its own if
	// it has a name.
	each := func(add func(s *deliver.Status, rule []label)) {
		for _, s := range rules {
			var rule []label
			if s.Rule != "" {
				rule = []label{{"rule", s.Rule}}
			}
			add(s, rule)
		}
	}
	with := func(rule []label, more ...label) []label { return append(more, rule...) }

	gauge("build_info", "The version of podsignal; always 1.", 1,
		label{"commit", build.Commit}, label{"goversion", runtime.Version()}, label{"version", build.Version})
	each(func(s *deliver.Status, rule []label) {
		for _, mode := range []string{"inotify", "poll"} {
			gauge("watch_mode", "1 for the way changes are detected now: inotify, or poll where inotify is unavailable.",
				truth(s.Mode == mode), with(rule, label{"mode", mode})...)
		}
	})
	each(func(s *deliver.Status, rule []label) {
		counter("watch_errors_total", "Times that inotify lost events or was unavailable, and scans in which a path was gone or unreadable.",
			s.Figures.WatchErrors, rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		for _, d := range digests(s) {
			gauge("config_digest_info", "Digests, as in the log: of the watched files (on_disk), of what targets run, and of what was rejected; always 1.", 1,
				with(rule, d[:]...)...)
		}
	})
	each(func(s *deliver.Status, rule []label) {
		counter("config_changes_total", "Changes of the watched files since podsignal started.", s.Figures.Counts.Changes, rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		gauge("config_last_change_timestamp_seconds", "When the watched files last changed; 0 before the first scan.", stamp(s.Changed()), rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		gauge("targets", "Processes that are signalled, as of the last search.", float64(len(s.Targets)), rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		gauge("out_of_sync", "1 if the watched files have not reached every target, or are unreadable; else 0.", truth(!s.OutOfSync.IsZero()), rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		var late time.Duration
		if !s.Figures.Overdue.IsZero() {
			late = max(0, s.Figures.At.Sub(s.Figures.Overdue))
		}
		gauge("out_of_sync_seconds", "How long out_of_sync has been 1, without waits for SPLAY and HOLD; 0 while it is 0.", late.Seconds(), rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		if s.Hold != "" {
			gauge("held", "1 while a change is held until HOLD approves it; else 0.", truth(!s.Held.IsZero()), rule...)
		}
	})
	each(func(s *deliver.Status, rule []label) {
		by := label{"signal", s.Signal}
		if s.URL != "" {
			by = label{"signal", "URL"}
		}
		for _, attempts := range []struct {
			result string
			n      uint64
		}{{"sent", s.Figures.Counts.Arrived}, {"held_back", s.Figures.Counts.HeldBack}, {"failed", s.Figures.Counts.Failed}} {
			counter("signals_total", "Signals sent or calls of RELOAD_URL answered, and attempts that failed or were held back until the target is ready; these are retried.",
				attempts.n, with(rule, label{"result", attempts.result}, by)...)
		}
	})
	each(func(s *deliver.Status, rule []label) {
		gauge("signal_last_success_timestamp_seconds", "When a signal was last sent, or a call answered; 0 before the first.", stamp(s.Figures.Counts.LastArrived), rule...)
	})
	each(func(s *deliver.Status, rule []label) {
		for seen, n := range s.Figures.Counts.ByOutcome() {
			counter("reload_outcome_total", "Signals by the effect that was seen, calls that were accepted or refused, and changes that were invalid.",
				n, with(rule, label{"outcome", string(seen)})...)
		}
	})
	each(func(s *deliver.Status, rule []label) {
		if s.Figures.LastReload != deliver.ReloadUnknown {
			gauge("last_reload_successful", "1 if the last reload has succeeded, 0 if it was rejected and none has succeeded since; absent while that is unknown.",
				truth(s.Figures.LastReload == deliver.ReloadSuccessful), rule...)
		}
	})
	each(func(s *deliver.Status, rule []label) {
		latency := func(suffix string, value float64, labels ...label) {
			p.add("histogram", "change_to_signal_seconds", suffix, "Time from the end of a change of the files to the signal, or to the answer to the call.", value, with(rule, labels...)...)
		}
		for i, bound := range deliver.Buckets {
			latency("_bucket", float64(s.Figures.Counts.Latency.Below[i]), label{"le", strconv.FormatFloat(bound, 'g', -1, 64)})
		}
		latency("_bucket", float64(s.Figures.Counts.Latency.Count), label{"le", "+Inf"})
		latency("_sum", s.Figures.Counts.Latency.Sum)
		latency("_count", float64(s.Figures.Counts.Latency.Count))
	})
	each(func(s *deliver.Status, rule []label) {
		counter("late_signals_total", "Signals for changes from before podsignal's start, or that waited for a target to start; change_to_signal_seconds has only the others.",
			s.Figures.Counts.Late, rule...)
	})
	if notifications != nil {
		sent, failed, dropped := notifications()
		for _, posts := range []struct {
			result string
			n      uint64
		}{{"sent", sent}, {"failed", failed}, {"dropped", dropped}} {
			counter("notifications_total", "Notifications posted to NOTIFY_URL, given up after several attempts, and dropped because too many were waiting.",
				posts.n, label{"result", posts.result})
		}
	}
	return p.Bytes()
}

// digests are those that are on disk, running and rejected, each once, with their labels.
func digests(s *deliver.Status) (labels [][2]label) {
	add := func(state string, d *deliver.Digest) {
		if d == nil {
			return
		}
		if l := [2]label{{"digest", d.Digest}, {"state", state}}; !slices.Contains(labels, l) {
			labels = append(labels, l)
		}
	}
	add("on_disk", s.OnDisk)
	for _, t := range s.Targets {
		add("running", t.Running)
	}
	rejected := []*deliver.Rejection{s.Rejected}
	for _, t := range s.Targets {
		rejected = append(rejected, t.Rejected)
	}
	for _, r := range rejected {
		if r != nil {
			add("rejected", &r.Digest)
		}
	}
	return labels
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func stamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
