package fleet

import (
	"context"

	"golang.org/x/time/rate"
)

// Whatever the size of a fleet, an API server is not to notice.
const (
	maxInFlight  = 50
	maxPerSecond = 50
)

// limits keep the number of requests low.
type limits struct {
	rate     *rate.Limiter
	inFlight chan struct{}
}

func newLimits() *limits {
	return &limits{rate.NewLimiter(maxPerSecond, 1), make(chan struct{}, maxInFlight)}
}

// do makes a request when it may be made.
func (l *limits) do(ctx context.Context, request func() error) error {
	select {
	case l.inFlight <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.inFlight }()
	if err := l.rate.Wait(ctx); err != nil {
		return err
	}
	return request()
}
