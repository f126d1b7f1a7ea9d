package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// spacing is that of the swaps at the defaults.
const spacing = 1500 * time.Millisecond

var (
	// steady keeps what is not measured out of the latencies: the least time between
	// two signals, and the looks that no event has caused.
	steady = []string{"MIN_INTERVAL=0", "RESYNC=10m"}

	usual = []*contestant{podsignal, floorRemoval, floorSwap, shellLoop, shellMonitor}
)

// A row is what was measured of one contestant.
type row struct {
	*contestant
	figures
	usage                  // since the swaps began; what it holds, at their end
	watching time.Duration // from its start
	idle     usage
}

// perSwap is CPU time.
func (r row) perSwap() time.Duration { return r.cpu / time.Duration(r.swaps) }

type rows []row

func (r rows) of(c *contestant) row {
	return r[slices.IndexFunc(r, func(r row) bool { return r.contestant == c })]
}

// results are all that the budgets are about.
type results struct {
	runs  map[int]rows // by the number of processes
	spare rows         // at the defaults
	full  rows         // at full speed
}

func (b *bench) compare(ctx context.Context) error {
	res := results{runs: make(map[int]rows)}
	first := shape{processes: b.processes[0], keys: 1, volumes: 1, targets: 1}

	pods, err := b.pods(slices.Insert(slices.Clone(usual), 1, listening), first, steady...)
	defer end(pods)
	if err != nil {
		return err
	}
	run, err := b.latency(ctx, pods)
	if err != nil {
		return err
	}
	res.runs[first.processes] = run
	b.section("%d processes in sight, %d swaps, MIN_INTERVAL=0", first.processes, b.swaps)
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
		run, err := b.alike(ctx, usual, shape{processes: n, keys: 1, volumes: 1, targets: 1})
		if err != nil {
			return err
		}
		res.runs[n] = run
		b.section("%d processes in sight, %d swaps, MIN_INTERVAL=0", n, b.swaps)
		b.latencies(run)
	}
	b.section("Budgets")
	b.budgets(res)
	return res.faults()
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
	pods, err := b.pods(usual, s)
	defer end(pods)
	if err != nil {
		return err
	}
	swaps := min(20, b.swaps)
	res.spare, err = b.spaced(ctx, pods, swaps)
	if err != nil {
		return err
	}
	b.section("%d processes in sight, %d swaps %v apart, at the defaults", s.processes, swaps, spacing)
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

// latency swaps each pod's volume in turn, in alternating order.
func (b *bench) latency(ctx context.Context, pods []*pod) (rows, error) {
	turn := slices.Clone(pods)
	for i := range b.swaps {
		for _, p := range turn {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			if err := p.swap(); err != nil {
				return nil, err
			}
			// What a swap has caused is over before the next. Nothing that recurs always
			// meets the same moment.
			quiet := 50*time.Millisecond + rand.N(50*time.Millisecond)
			if err := p.calm(quiet, time.Now().Add(patience)); err != nil {
				return nil, err
			}
		}
		slices.Reverse(turn)
		if i%10 == 0 {
			if err := b.scrape(ctx, pods); err != nil {
				return nil, err
			}
		}
	}
	return assessAll(pods)
}

// scrape asks for the metrics, where there are any: it costs memory.
func (b *bench) scrape(ctx context.Context, pods []*pod) error {
	if !slices.ContainsFunc(pods, func(p *pod) bool { return p.contestant == listening }) {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.listen+"/metrics", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// spaced swaps each pod's volume at the same intervals.
func (b *bench) spaced(ctx context.Context, pods []*pod, swaps int) (rows, error) {
	for range swaps {
		next := time.Now().Add(spacing)
		for _, p := range pods {
			if err := p.swap(); err != nil {
				return nil, err
			}
		}
		if err := sleep(ctx, time.Until(next)); err != nil {
			return nil, err
		}
	}
	return assessAll(pods)
}

func assessAll(pods []*pod) (rows, error) {
	var all rows
	for _, p := range pods {
		if err := p.rest(0); err != nil {
			return nil, err
		}
		r, err := p.assess()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func (p *pod) assess() (row, error) {
	now, err := p.usage()
	return row{
		contestant: p.contestant,
		figures:    assess(p.swaps, p.arrivals, len(p.targets)),
		usage:      now.minus(p.at),
		watching:   p.watching,
	}, err
}

// fullSpeed swaps as fast as it can, and waits until nothing more comes.
func (b *bench) fullSpeed(ctx context.Context, p *pod) (row, error) {
	if err := errors.Join(p.rest(0), p.begin()); err != nil {
		return row{}, err
	}
	for range b.burst {
		s, err := p.volumes[0].swap()
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return row{}, err
		}
		p.swaps = append(p.swaps, s)
	}
	last := p.swaps[len(p.swaps)-1].renaming
	if err := p.listen(patience, func() bool { return p.answered(last) }); err != nil {
		return row{}, err
	}
	// MIN_INTERVAL may put off another one for 1 s; the shell may be busy for long.
	if err := p.calm(2*grace, time.Now().Add(3*patience)); err != nil {
		return row{}, err
	}
	return p.assess()
}

// watchIdle adds to the rows what the pods use while nothing happens.
func (b *bench) watchIdle(ctx context.Context, pods []*pod, run rows) error {
	// By now VERIFY is over: the runs at the defaults take longer.
	for i, p := range pods {
		before, err := p.usage()
		if err != nil {
			return err
		}
		run[i].idle = before
	}
	if err := sleep(ctx, b.idle); err != nil {
		return err
	}
	for i, p := range pods {
		after, err := p.usage()
		if err != nil {
			return err
		}
		run[i].idle = after.minus(run[i].idle)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// faults are promises that podsignal broke. (A budget of time that was missed is none:
// machines differ.)
func (r rows) faults() error {
	var faults []error
	for _, r := range r {
		if r.contestant != podsignal && r.contestant != listening {
			continue
		}
		if r.missed > 0 {
			faults = append(faults, fmt.Errorf("%s missed %d of %d swaps", r.name, r.missed, r.swaps))
		}
		if r.signals != 1 {
			faults = append(faults, fmt.Errorf("%s sent %d signals for %d swaps", r.name, r.arrived, r.swaps))
		}
	}
	return errors.Join(faults...)
}

func (r results) faults() error {
	faults := []error{r.spare.faults()}
	for _, run := range r.runs {
		faults = append(faults, run.faults())
	}
	if !r.full.of(podsignal).last {
		faults = append(faults, errors.New("podsignal sent no signal after the last of the swaps at full speed"))
	}
	return errors.Join(faults...)
}
