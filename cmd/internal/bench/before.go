package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// compareBefore tells by how much podsignal differs from the one before, in the same run.
func (b *bench) compareBefore(res results) {
	var lines [][]string
	line := func(figure string, before, now float64, format, unit string) {
		lines = append(lines, []string{figure, fmt.Sprintf(format, before) + unit, fmt.Sprintf(format, now) + unit, fmt.Sprintf("%.2f", now/before)})
	}
	micros := func(figure string, before, now time.Duration) {
		line(figure, float64(before)/1e3, float64(now)/1e3, "%.0f", " µs")
	}
	mebis := func(figure string, before, now int) {
		line(figure, float64(before)/1024, float64(now)/1024, "%.2f", " MiB")
	}
	for _, n := range b.processes {
		before, now := res.runs[n].of(earlier), res.runs[n].of(podsignal)
		of := fmt.Sprintf(", %d processes", n)
		micros("CPU for a swap"+of, before.perSwap(), now.perSwap())
		micros("removal to signal, p50"+of, before.fromRemoval.p50, now.fromRemoval.p50)
		micros("removal to signal, p99"+of, before.fromRemoval.p99, now.fromRemoval.p99)
		micros("rename to signal, p50"+of, before.fromRename.p50, now.fromRename.p50)
		mebis("anonymous memory at most"+of, before.most, now.most)
	}
	before, now := res.spare.of(earlier), res.spare.of(podsignal)
	micros("CPU for a swap, at the defaults", before.perSwap(), now.perSwap())
	micros("removal to signal, p50, at the defaults", before.fromRemoval.p50, now.fromRemoval.p50)
	before, now = res.full.of(earlier), res.full.of(podsignal)
	micros(fmt.Sprintf("CPU for %d swaps at full speed", b.burst), before.cpu, now.cpu)
	first := res.runs[b.processes[0]]
	before, now = first.of(earlier), first.of(podsignal)
	mebis("idle: anonymous memory", before.idle.anon, now.idle.anon)
	mebis("idle: resident memory", before.idle.rss, now.idle.rss)
	micros("start to watching", before.watching, now.watching)
	b.table("|before|now|ratio", lines...)
}

// writeSamples writes each swap's figures in the format of Go's benchmarks, for benchstat.
func (b *bench) writeSamples(res results) error {
	if b.samples == "" {
		return nil
	}
	var text strings.Builder
	text.WriteString("Unit ns-cpu better=lower\nUnit ns-to-signal better=lower\n")
	for _, n := range b.processes {
		for _, c := range []struct {
			build string
			*contestant
		}{{"now", podsignal}, {"before", earlier}} {
			if c.contestant == earlier && b.before == "" {
				continue
			}
			r := res.runs[n].of(c.contestant)
			for unit, all := range map[string][]time.Duration{"ns-cpu": r.spent, "ns-to-signal": r.removals} {
				for _, d := range all {
					fmt.Fprintf(&text, "BenchmarkSwap/processes=%d/build=%s 1 %d %s\n", n, c.build, d.Nanoseconds(), unit)
				}
			}
		}
	}
	return os.WriteFile(b.samples, []byte(text.String()), 0o644)
}
