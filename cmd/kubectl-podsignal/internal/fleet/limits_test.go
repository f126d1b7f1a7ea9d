package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimits: requests that take long are not more than 50 at a time, and short ones not more than
// 50 in any second.
func TestLimits(t *testing.T) {
	for name, each := range map[string]time.Duration{"short": time.Millisecond, "long": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimits()
				var (
					mu             sync.Mutex
					begun          []time.Time
					inFlight, most int
					all            sync.WaitGroup
				)
				for range 200 {
					all.Go(func() {
						err := l.do(t.Context(), func() error {
							mu.Lock()
							begun = append(begun, time.Now())
							inFlight++
							most = max(most, inFlight)
							mu.Unlock()
							time.Sleep(each)
							mu.Lock()
							inFlight--
							mu.Unlock()
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				for i := maxPerSecond; i < len(begun); i++ {
					if d := begun[i].Sub(begun[i-maxPerSecond]); d < time.Second {
						t.Fatalf("%d requests within %v", maxPerSecond+1, d)
					}
				}
				if want := map[string]int{"short": 1, "long": maxInFlight}[name]; most != want {
					t.Errorf("%d in flight, want %d", most, want)
				}
			})
		})
	}
}

func TestLimitsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := newLimits().do(ctx, func() error {
		t.Error("the request was made")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
