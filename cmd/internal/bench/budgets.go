package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// budgets tells which of the project's budgets were met.
func (b *bench) budgets(res results) {
	var lines [][]string
	line := func(figure, measured, floor, ratio, budget string, met bool) {
		verdict := "met"
		if !met {
			verdict = "NOT MET"
		}
		lines = append(lines, []string{figure, measured, floor, ratio, budget, verdict})
	}
	times := func(figure string, ours, floor time.Duration, budget float64) {
		ratio := float64(ours) / float64(floor)
		line(figure, micro(ours)+" µs", micro(floor)+" µs", fmt.Sprintf("%.1f", ratio), fmt.Sprintf("≤ %g × the floor", budget), ratio <= budget)
	}
	first := res.runs[b.processes[0]]
	for i, n := range b.processes {
		run, budget := res.runs[n], 2.7
		if n >= 1000 {
			budget = 5
		} else if i > 0 {
			continue // there is no budget for so few
		}
		ours, floor := run.of(podsignal), run.of(floorRemoval)
		times(fmt.Sprintf("removal to signal, p50, %d processes", n), ours.fromRemoval.p50, floor.fromRemoval.p50, budget)
		times(fmt.Sprintf("removal to signal, p99, %d processes", n), ours.fromRemoval.p99, floor.fromRemoval.p99, 10)
	}
	ours := first.of(podsignal)
	times("rename to signal, p50, floor at the swap", ours.fromRename.p50, first.of(floorSwap).fromRename.p50, 4)
	times("rename to signal, p50, floor at the removal", ours.fromRename.p50, first.of(floorRemoval).fromRename.p50, 4)
	with, without := res.crowd.of(crowded).fromRemoval.p50, res.crowd.of(listening).fromRemoval.p50
	ratio := float64(with) / float64(without)
	line(fmt.Sprintf("removal to signal, p50, %d clients of /status", clients), micro(with)+" µs", micro(without)+" µs without",
		fmt.Sprintf("%.1f", ratio), "≤ 2 × without", ratio <= 2)

	for _, n := range b.processes {
		r := res.runs[n].of(podsignal)
		line(fmt.Sprintf("signals per swap, %d processes", n), fmt.Sprintf("%.2f, %d missed", r.signals, r.missed), "", "", "1.00, 0 missed", r.signals == 1 && r.missed == 0)
	}
	r := res.spare.of(podsignal)
	line("signals per swap, at the defaults", fmt.Sprintf("%.2f, %d missed", r.signals, r.missed), "", "", "1.00, 0 missed", r.signals == 1 && r.missed == 0)
	r = res.full.of(podsignal)
	line(fmt.Sprintf("signals for %d swaps at full speed", r.swaps), fmt.Sprint(r.arrived), "", "", "≤ 5, one after the last", r.arrived <= 5 && r.last)
	line(fmt.Sprintf("CPU in %v idle", b.idle), milli(ours.idle.cpu)+" ms", "", "", "0 ms", ours.idle.cpu < time.Millisecond/2)
	line("start to watching", milli(ours.watching)+" ms", "", "", "≤ 50 ms", ours.watching <= 50*time.Millisecond)
	line(fmt.Sprintf("anonymous memory at most, in %d swaps", b.swaps), mebi(first.of(podsignal).most)+" MiB", "", "", "≤ 3 MiB", first.of(podsignal).most <= 3<<10)
	for _, memory := range []struct {
		*contestant
		anon, rss int // MiB
	}{{podsignal, 3, 8}, {listening, 5, 12}} {
		r := first.of(memory.contestant)
		line("anonymous memory, "+r.name, mebi(r.idle.anon)+" MiB", "", "", fmt.Sprintf("≤ %d MiB", memory.anon), r.idle.anon <= memory.anon<<10)
		line("resident memory, "+r.name, mebi(r.idle.rss)+" MiB", "", "", fmt.Sprintf("≤ %d MiB", memory.rss), r.idle.rss <= memory.rss<<10)
	}
	b.table("figure|podsignal|floor|ratio|budget|", lines...)
}

// broken are promises that podsignal broke. (A budget of time that was missed is none:
// machines differ.)
func (r rows) broken() error {
	var errs []error
	for _, r := range r {
		if !slices.Contains([]*contestant{podsignal, listening, crowded}, r.contestant) {
			continue
		}
		if r.missed > 0 {
			errs = append(errs, fmt.Errorf("%s missed %d of %d swaps", r.name, r.missed, r.swaps))
		}
		if r.signals != 1 {
			errs = append(errs, fmt.Errorf("%s sent %d signals for %d swaps", r.name, r.arrived, r.swaps))
		}
	}
	return errors.Join(errs...)
}

func (r results) broken() error {
	errs := []error{r.spare.broken(), r.crowd.broken()}
	for _, run := range r.runs {
		errs = append(errs, run.broken())
	}
	if !r.full.of(podsignal).last {
		errs = append(errs, errors.New("podsignal sent no signal after the last of the swaps at full speed"))
	}
	return errors.Join(errs...)
}
