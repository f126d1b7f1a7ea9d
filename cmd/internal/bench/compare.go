package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// steady keeps what is not measured out of the latencies: the least time between
	// two signals, and the looks that no event has caused.
	steady = []string{"MIN_INTERVAL=0", "RESYNC=10m"}

	usual = []*contestant{podsignal, floorRemoval, floorSwap, shellLoop, shellMonitor}
)

// usual are those of most runs.
func (b *bench) usual() []*contestant {
	if b.before == "" {
		return usual
	}
	return slices.Insert(slices.Clone(usual), 1, earlier)
}

// results are all that the budgets are about.
type results struct {
	runs  map[int]rows // by the number of processes
	spare rows         // at the defaults
	full  rows         // at full speed
	crowd rows         // with and without clients of /status
}

func (b *bench) compare(ctx context.Context) error {
	res := results{runs: make(map[int]rows)}
	first := shape{processes: b.processes[0], keys: 1, volumes: 1, targets: 1}

	pods, err := b.pods(slices.Insert(slices.Clone(b.usual()), 1, listening), first, steady...)
	defer end(pods)
	if err != nil {
		return err
	}
	run, err := b.latency(ctx, pods)
	if err != nil {
		return err
	}
	res.runs[first.processes] = run
	b.section("%d visible processes, %d swaps, MIN_INTERVAL=0", first.processes, b.swaps)
	b.latencies(run)

	if err := b.defaults(ctx, first, &res); err != nil {
		return err
	}
	if err := b.watchIdle(ctx, pods, run); err != nil {
		return err
	}
	b.section("Idle for %v, after these swaps, RESYNC=10m", b.idle)
	b.idles(run)
	end(pods)

	for _, n := range b.processes[1:] {
		run, err := b.alike(ctx, b.usual(), shape{processes: n, keys: 1, volumes: 1, targets: 1})
		if err != nil {
			return err
		}
		res.runs[n] = run
		b.section("%d visible processes, %d swaps, MIN_INTERVAL=0", n, b.swaps)
		b.latencies(run)
	}
	if res.crowd, err = b.crowd(ctx, first); err != nil {
		return err
	}
	b.section("%d visible processes, %d swaps, MIN_INTERVAL=0, %d clients that ask for /status in a loop", first.processes, b.swaps, clients)
	b.latencies(res.crowd)
	b.section("Budgets")
	b.budgets(res)
	if b.before != "" {
		b.section("Before and now")
		b.compareBefore(res)
	}
	return errors.Join(b.writeSamples(res), res.broken())
}

// alike is a run in pods that end with it.
func (b *bench) alike(ctx context.Context, all []*contestant, s shape) (rows, error) {
	pods, err := b.pods(all, s, steady...)
	defer end(pods)
	if err != nil {
		return nil, err
	}
	return b.latency(ctx, pods)
}

// defaults are the runs with no variable set that need not be.
func (b *bench) defaults(ctx context.Context, s shape, res *results) error {
	pods, err := b.pods(b.usual(), s)
	defer end(pods)
	if err != nil {
		return err
	}
	swaps := min(20, b.swaps)
	res.spare, err = b.spaced(ctx, pods, swaps)
	if err != nil {
		return err
	}
	b.section("%d visible processes, %d swaps %v apart, at the defaults", s.processes, swaps, spacing)
	b.latencies(res.spare)

	if err := sleep(ctx, grace); err != nil { // MIN_INTERVAL at its default
		return err
	}
	for _, p := range pods {
		r, err := b.fullSpeed(ctx, p)
		if err != nil {
			return err
		}
		res.full = append(res.full, r)
	}
	b.section("%d swaps at full speed, at the defaults", b.burst)
	b.fullSpeeds(res.full)
	return nil
}

// pods starts a pod for each contestant and sees that it works.
func (b *bench) pods(all []*contestant, s shape, env ...string) (pods []*pod, err error) {
	for _, c := range all {
		p, err := newPod(b, c, s, env...)
		if err != nil {
			return pods, err
		}
		pods = append(pods, p)
	}
	return pods, warmUp(pods)
}

// warmUp waits until the targets are old enough to be signalled, and has each pod
// answer one swap that does not count.
func warmUp(pods []*pod) error {
	for _, p := range pods {
		if err := errors.Join(p.rest(time.Until(p.begun.Add(grace))), p.swap()); err != nil {
			return err
		}
		if p.reliable && !p.answered(p.swaps[0].renaming) {
			return fmt.Errorf("%s: no signal within %v of the first swap", p.name, patience)
		}
	}
	time.Sleep(grace) // MIN_INTERVAL at its default
	for _, p := range pods {
		if err := errors.Join(p.rest(0), p.begin()); err != nil {
			return err
		}
	}
	return nil
}

func end(pods []*pod) {
	for _, p := range pods {
		p.end()
	}
}
