package main

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// buckets are the upper bounds of change_to_signal_seconds: from what the kernel
// takes to what the kubelet does.
var buckets = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// histogram counts in those buckets.
type histogram struct {
	count uint64
	sum   float64
	below [len(buckets)]uint64 // cumulative: at most buckets[i]
}

func (h *histogram) observe(v float64) {
	h.count++
	h.sum += v
	for i, bound := range buckets {
		if v <= bound {
			h.below[i]++
		}
	}
}

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

// metrics gives all of them. What may be missing for now (the digest) is then left
// out; times that have not come are 0, as in Prometheus' own metrics.
func (s *status) metrics() []byte {
	var p page
	gauge := func(name, help string, value float64, labels ...label) {
		p.add("gauge", name, "", help, value, labels...)
	}
	counter := func(name, help string, value uint64, labels ...label) {
		p.add("counter", name, "", help, float64(value), labels...)
	}

	gauge("build_info", "The version of podsignal; always 1.", 1,
		label{"commit", commit}, label{"goversion", runtime.Version()}, label{"version", version})
	for _, mode := range []string{"inotify", "poll"} {
		gauge("watch_mode", "1 for how changes are noticed now: inotify, or poll where it cannot be had.",
			truth(s.Mode == mode), label{"mode", mode})
	}
	counter("watch_errors_total", "Times that inotify lost events or could not be had, and looks at which a path was gone or unreadable.",
		s.watchErrors)

	if s.Digest != "" {
		gauge("config_digest_info", "What the files show, as the log names it; always 1.", 1, label{"digest", s.Digest})
	}
	counter("config_changes_total", "Changes of what the files show, since podsignal started.", s.counts.changes)
	gauge("config_last_change_timestamp_seconds", "When what the files show came to be; 0 before the first look.", stamp(s.Changed.Time))

	gauge("targets", "Processes that are signalled, as of the last search.", float64(len(s.Targets)))
	gauge("out_of_sync", "1 if what the files show has not reached every target, or cannot be read; else 0.", truth(!s.OutOfSync.IsZero()))
	var late time.Duration
	if !s.late.IsZero() {
		late = max(0, s.at.Sub(s.late))
	}
	gauge("out_of_sync_seconds", "For how long out_of_sync has been 1, but for a wait for SPLAY; 0 while it is not.", late.Seconds())

	for _, attempts := range []struct {
		result string
		n      uint64
	}{{"sent", s.counts.arrived}, {"held_back", s.counts.heldBack}, {"failed", s.counts.failed}} {
		counter("signals_total", "Signals sent, and attempts that were held back until the target is ready or failed; these are made again.",
			attempts.n, label{"result", attempts.result}, label{"signal", s.Signal})
	}
	gauge("signal_last_success_timestamp_seconds", "When a signal was last sent; 0 before the first.", stamp(s.counts.lastArrived))
	for _, seen := range []outcome{died, ended, restarted, replaced, kept, read, unseen} {
		counter("reload_outcome_total", "Signals by what was seen of their effect within VERIFY.",
			s.counts.outcomes[seen], label{"outcome", string(seen)})
	}
	latency := func(suffix string, value float64, labels ...label) {
		p.add("histogram", "change_to_signal_seconds", suffix, "From the end of a change of the files to the signal.", value, labels...)
	}
	for i, bound := range buckets {
		latency("_bucket", float64(s.counts.latency.below[i]), label{"le", strconv.FormatFloat(bound, 'g', -1, 64)})
	}
	latency("_bucket", float64(s.counts.latency.count), label{"le", "+Inf"})
	latency("_sum", s.counts.latency.sum)
	latency("_count", float64(s.counts.latency.count))
	return p.Bytes()
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
