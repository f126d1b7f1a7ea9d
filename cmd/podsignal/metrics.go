package main

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// buckets are the upper bounds of change_to_signal_seconds: from what the kernel
// takes to what the kubelet does.
var buckets = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// histogram is what a prometheus.Histogram is made of. It is not one, so that the
// delivery loop counts the same way whether or not anybody listens.
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

// Describe makes a status a prometheus.Collector.
func (s *status) Describe(descs chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, descs) }

// Collect gives all metrics. What may be missing for now (the digest) is then left
// out; times that have not come are 0, as in Prometheus' own metrics.
func (s *status) Collect(metrics chan<- prometheus.Metric) {
	add := func(kind prometheus.ValueType, name, help string, value float64, labels prometheus.Labels) {
		metrics <- prometheus.MustNewConstMetric(prometheus.NewDesc("podsignal_"+name, help, nil, labels), kind, value)
	}
	gauge := func(name, help string, value float64, labels prometheus.Labels) {
		add(prometheus.GaugeValue, name, help, value, labels)
	}
	counter := func(name, help string, value uint64, labels prometheus.Labels) {
		add(prometheus.CounterValue, name, help, float64(value), labels)
	}

	gauge("build_info", "The version of podsignal; always 1.", 1,
		prometheus.Labels{"version": version, "commit": commit, "goversion": runtime.Version()})
	for _, mode := range []string{"inotify", "poll"} {
		gauge("watch_mode", "1 for how changes are noticed now: inotify, or poll where it cannot be had.",
			truth(s.Mode == mode), prometheus.Labels{"mode": mode})
	}
	counter("watch_errors_total", "Times that inotify lost events or could not be had, and looks at which a path was gone or unreadable.",
		s.watchErrors, nil)

	if s.Digest != "" {
		gauge("config_digest_info", "What the files show, as the log names it; always 1.", 1, prometheus.Labels{"digest": s.Digest})
	}
	counter("config_changes_total", "Changes of what the files show, since podsignal started.", s.counts.changes, nil)
	gauge("config_last_change_timestamp_seconds", "When what the files show came to be; 0 before the first look.", stamp(s.Changed.Time), nil)

	gauge("targets", "Processes that are signalled, as of the last search.", float64(len(s.Targets)), nil)
	gauge("out_of_sync", "1 if what the files show has not reached every target, or cannot be read; else 0.", truth(!s.OutOfSync.IsZero()), nil)
	var late time.Duration
	if !s.late.IsZero() {
		late = max(0, s.at.Sub(s.late))
	}
	gauge("out_of_sync_seconds", "For how long out_of_sync has been 1, but for a wait for SPLAY; 0 while it is not.", late.Seconds(), nil)

	for result, n := range map[string]uint64{"sent": s.counts.arrived, "held_back": s.counts.heldBack, "failed": s.counts.failed} {
		counter("signals_total", "Signals sent, and attempts that were held back until the target is ready or failed; these are made again.",
			n, prometheus.Labels{"signal": s.Signal, "result": result})
	}
	gauge("signal_last_success_timestamp_seconds", "When a signal was last sent; 0 before the first.", stamp(s.counts.lastArrived), nil)
	for _, seen := range []outcome{died, ended, restarted, replaced, kept, read, unseen} {
		counter("reload_outcome_total", "Signals by what was seen of their effect within VERIFY.",
			s.counts.outcomes[seen], prometheus.Labels{"outcome": string(seen)})
	}
	below := make(map[float64]uint64, len(buckets))
	for i, bound := range buckets {
		below[bound] = s.counts.latency.below[i]
	}
	metrics <- prometheus.MustNewConstHistogram(
		prometheus.NewDesc("podsignal_change_to_signal_seconds", "From the end of a change of the files to the signal.", nil, nil),
		s.counts.latency.count, s.counts.latency.sum, below)
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
