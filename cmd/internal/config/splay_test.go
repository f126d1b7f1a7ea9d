package config

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The replicas of a workload spread over the whole time: as many in each tenth of it
// as chance would put there, and no long stretch without any.
func TestShareSpread(t *testing.T) {
	const names, tenths = 1000, 10
	random := rand.New(rand.NewPCG(1, 2))
	for kind, name := range map[string]func(i int) string{
		"StatefulSet": func(i int) string { return fmt.Sprint("web-", i) },
		"Deployment": func(int) string {
			suffix := make([]byte, 5)
			for i := range suffix {
				suffix[i] = "bcdfghjklmnpqrstvwxz2456789"[random.IntN(27)] // the letters that Kubernetes uses
			}
			return "web-6d4cf56db6-" + string(suffix)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			var shares []float64
			var in [tenths]int
			for i := range names {
				share := shareOf(name(i), time.Minute).Minutes()
				shares = append(shares, share)
				in[int(share*tenths)]++
			}
			slices.Sort(shares)

			// Binomial: of 1000 that fall there with p = 1/10, 100 on average, and
			// within 4 standard deviations of 9.5 in all but one of 16,000 cases.
			deviation := math.Sqrt(names * (1. / tenths) * (1 - 1./tenths))
			for i, n := range in {
				if math.Abs(float64(n)-names/tenths) > 4*deviation {
					t.Errorf("%d names in tenth %d, want 100 ± %.0f: %v", n, i, 4*deviation, in)
				}
			}
			// A gap of x comes up with a chance of less than names·exp(-names·x).
			gap, most := shares[0], math.Log(names*1000)/names
			for i, share := range shares[1:] {
				gap = max(gap, share-shares[i])
			}
			if gap = max(gap, 1-shares[names-1]); gap > most {
				t.Errorf("no name in %.2f %% of the time, which chance would do once in 1000 cases for %.2f %%", 100*gap, 100*most)
			}
			t.Logf("in tenths: %v; the longest gap is %.2f %%", in, 100*gap)
		})
	}
}

// Other releases must not wait otherwise: replicas of both may run at a time.
func TestShareIsSteady(t *testing.T) {
	for name, want := range map[string]time.Duration{
		"web-0": 3152609068, "web-1": 23020754417, "web-6d4cf56db6-x7k2p": 18399982709,
	} {
		if got := shareOf(name, 30*time.Second); got != want {
			t.Errorf("shareOf(%q, 30s) = %v, want %v", name, got, want)
		}
	}
}

func TestShareBounds(t *testing.T) {
	for _, splay := range []time.Duration{0, 1, 2, time.Second, math.MaxInt64} {
		for i := range 1000 {
			if share := shareOf(fmt.Sprint("web-", i), splay); share < 0 || share >= max(splay, 1) {
				t.Fatalf("shareOf(web-%d, %d) = %d", i, splay, share)
			}
		}
	}
}
