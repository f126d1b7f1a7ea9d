package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// several is the budget for a change of one of several volumes: DEBOUNCE at its default,
// since another may follow it, and 1 ms.
const several = 101 * time.Millisecond

// growth measures podsignal alone, in pods that differ from a common one in one
// dimension.
func (b *bench) growth(ctx context.Context) error {
	common := shape{processes: 90, keys: 1, volumes: 1, targets: 1}
	for _, dimension := range []struct {
		name   string
		values []int
		set    func(s *shape, n int)
	}{
		{"processes", []int{5, 50, 500, 5000}, func(s *shape, n int) { s.processes = n }},
		{"keys", []int{1, 10, 100, 1000}, func(s *shape, n int) { s.keys = n }},
		{"volumes", []int{1, 10, 50}, func(s *shape, n int) { s.volumes = n }},
		{"targets", []int{1, 10, 100}, func(s *shape, n int) { s.targets, s.processes = n, s.processes+n-1 }},
	} {
		var lines [][]string
		for _, n := range dimension.values {
			s := common
			dimension.set(&s, n)
			run, err := b.alike(ctx, []*contestant{podsignal}, s)
			if err := errors.Join(err, run.broken()); err != nil {
				return err
			}
			r := run.of(podsignal)
			budget := ""
			switch {
			case s.volumes == 1:
			case r.fromRemoval.p50 <= several:
				budget = "≤ " + micro(several) + ": met"
			default:
				budget = "≤ " + micro(several) + ": NOT MET"
			}
			lines = append(lines, []string{
				fmt.Sprint(n), micro(r.fromRemoval.p50), micro(r.fromRemoval.p99), budget, micro(r.perSwap()),
				mebi(r.rss), mebi(r.anon),
			})
		}
		b.section("By %s", dimension.name)
		b.table(dimension.name+"|removal to last signal, p50, µs|p99, µs|budget, p50|CPU per swap, µs|resident, MiB|of it anonymous, MiB", lines...)
	}
	return nil
}
