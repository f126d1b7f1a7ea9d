package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/serve"
)

const ms = time.Millisecond

// A goroutine that never ends does not keep podsignal from ending.
func TestInterruptible(t *testing.T) {
	failed := errors.New("failed")
	for _, test := range []struct {
		name  string
		takes time.Duration // until it returns, from the start
		want  error
		after time.Duration
	}{
		{"it returns on its own", 10 * ms, failed, 10 * ms},
		{"it returns when it is asked to", time.Second + 10*ms, failed, time.Second + 10*ms},
		{"it does not return", time.Hour, errLeft, time.Second + leaveWithin},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err := interruptible(ctx, func() error { time.Sleep(test.takes); return failed })
				if took := time.Since(began); !errors.Is(err, test.want) || took != test.after {
					t.Errorf("%v after %v, want %v after %v", err, took, test.want, test.after)
				}
				time.Sleep(time.Hour)
			})
		})
	}
	if leaveWithin >= endWithin || serve.CloseWithin >= leaveWithin {
		t.Errorf("requests get %v of %v, and these of %v", serve.CloseWithin, leaveWithin, endWithin)
	}
}
