package main

import (
	"slices"
	"time"
)

// A swap is when its two steps that matter were about to be done. Times are of
// CLOCK_MONOTONIC, in ns, here as in the target.
type swap struct {
	renaming int64 // ..data
	removing int64 // the old folder, the last step
}

// figures are what became of a number of swaps.
type figures struct {
	swaps       int
	missed      int // after which not every target got a signal
	early       int // after which one came before the last step was done
	arrived     int // signals, of all targets
	signals     float64
	last        bool // each target got one after the last swap
	fromRename  percentiles
	fromRemoval percentiles
	removals    []time.Duration // what fromRemoval is of
}

// assess gives each signal to the swap that it came after. A swap has been answered
// when the last target has its signal; from the removal of the old folder on only
// signals after that count.
func assess(swaps []swap, arrivals []int64, targets int) figures {
	slices.Sort(arrivals)
	f := figures{swaps: len(swaps), arrived: len(arrivals)}
	f.signals = float64(f.arrived) / float64(targets*f.swaps)
	var fromRename, fromRemoval []time.Duration
	for i, s := range swaps {
		// Those before the first swap are left out below, but counted above.
		from, _ := slices.BinarySearch(arrivals, s.renaming)
		to := len(arrivals)
		if i+1 < len(swaps) {
			to, _ = slices.BinarySearch(arrivals, swaps[i+1].renaming)
		}
		got := arrivals[from:to]
		whole, _ := slices.BinarySearch(got, s.removing)
		f.last = len(got) >= targets
		if !f.last {
			f.missed++
			continue
		}
		fromRename = append(fromRename, time.Duration(got[targets-1]-s.renaming))
		if whole > 0 {
			f.early++
		}
		if got = got[whole:]; len(got) >= targets {
			fromRemoval = append(fromRemoval, time.Duration(got[targets-1]-s.removing))
		}
	}
	f.fromRename, f.fromRemoval, f.removals = newPercentiles(fromRename), newPercentiles(fromRemoval), fromRemoval
	return f
}

// percentiles of latencies. None are known where there was no latency.
type percentiles struct {
	known         bool
	p50, p99, max time.Duration
}

// newPercentiles takes the nearest rank: of 100 values p99 is the 99th.
func newPercentiles(all []time.Duration) percentiles {
	if len(all) == 0 {
		return percentiles{}
	}
	slices.Sort(all)
	rank := func(percent int) time.Duration { return all[(percent*len(all)+99)/100-1] }
	return percentiles{true, rank(50), rank(99), rank(100)}
}
