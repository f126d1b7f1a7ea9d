package deliver

import (
	"iter"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// Counts are what the metrics count. The loop owns them.
type Counts struct {
	Changes     uint64
	Arrived     uint64 // signals sent
	Late        uint64 // of these: for changes before podsignal's start, or that waited for a target
	HeldBack    uint64 // and tried again
	Failed      uint64 // the same
	LastArrived time.Time
	Latency     Histogram // of the other signals sent, since the change
	Outcomes    map[verify.Outcome]uint64
}

// ByOutcome are the signals and calls by what was seen of their effect, the strongest first.
func (c *Counts) ByOutcome() iter.Seq2[verify.Outcome, uint64] {
	return func(yield func(verify.Outcome, uint64) bool) {
		for _, seen := range verify.Outcomes {
			if !yield(seen, c.Outcomes[seen]) {
				return
			}
		}
	}
}

func (c *Counts) sent(after time.Duration, late bool) {
	c.Arrived++
	c.LastArrived = time.Now()
	if late {
		c.Late++
		return
	}
	c.Latency.observe(after.Seconds())
}

// Buckets are the upper bounds of change_to_signal_seconds: from what the kernel
// takes to what the kubelet does.
var Buckets = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// A Histogram counts in those Buckets.
type Histogram struct {
	Count uint64
	Sum   float64
	Below [len(Buckets)]uint64 // cumulative: at most Buckets[i]
}

func (h *Histogram) observe(v float64) {
	h.Count++
	h.Sum += v
	for i, bound := range Buckets {
		if v <= bound {
			h.Below[i]++
		}
	}
}
