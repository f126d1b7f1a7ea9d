package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// spacing is that of the swaps at the defaults.
const spacing = 1500 * time.Millisecond

// A row is what was measured of one contestant.
type row struct {
	*contestant
	figures
	usage                  // since the swaps began; what it holds, at their end
	spending               // of the swaps of latency
	watching time.Duration // from its start
	idle     usage
}

// spending is what was seen when each swap was over.
type spending struct {
	spent []time.Duration // CPU time
	most  int             // anonymous memory, KiB
}

// perSwap is CPU time.
func (r row) perSwap() time.Duration { return r.cpu / time.Duration(r.swaps) }

type rows []row

func (r rows) of(c *contestant) row {
	return r[slices.IndexFunc(r, func(r row) bool { return r.contestant == c })]
}

// latency swaps each pod's volume in turn, in an order that is drawn anew for each round.
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
			if err := errors.Join(p.calm(quiet, time.Now().Add(patience)), p.sample()); err != nil {
				return nil, err
			}
		}
		rand.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
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
	return ask(ctx, http.DefaultClient, "http://"+b.listen+"/metrics")
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
		spending:   p.spending,
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
	// By now VERIFY is over: the runs at the defaults take longer. The last search for
	// newcomers comes 30 s after a change.
	if err := sleep(ctx, 31*time.Second); err != nil {
		return err
	}
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
