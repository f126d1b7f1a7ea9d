package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAssess(t *testing.T) {
	t.Parallel()
	const us = int64(time.Microsecond)
	only := func(d time.Duration) percentiles { return percentiles{true, d, d, d} }
	// Two swaps, each with 100 µs from its rename to its removal.
	swaps := []swap{{1000 * us, 1100 * us}, {2000 * us, 2100 * us}}
	for _, test := range []struct {
		name     string
		targets  int
		arrivals []int64 // µs
		want     figures
	}{
		{
			"one each", 1,
			[]int64{1150, 2150},
			figures{swaps: 2, arrived: 2, signals: 1, last: true, fromRename: only(150 * time.Microsecond), fromRemoval: only(50 * time.Microsecond)},
		},
		{
			"in any order", 1,
			[]int64{2150, 1150},
			figures{swaps: 2, arrived: 2, signals: 1, last: true, fromRename: only(150 * time.Microsecond), fromRemoval: only(50 * time.Microsecond)},
		},
		{
			"one missed", 1,
			[]int64{2150},
			figures{swaps: 2, missed: 1, arrived: 1, signals: 0.5, last: true, fromRename: only(150 * time.Microsecond), fromRemoval: only(50 * time.Microsecond)},
		},
		{
			"the last missed", 1,
			[]int64{1150, 1160},
			figures{swaps: 2, missed: 1, arrived: 2, signals: 1, fromRename: only(150 * time.Microsecond), fromRemoval: only(50 * time.Microsecond)},
		},
		{
			"before the rename", 1,
			[]int64{990, 1990},
			// What came before the second swap came after the first.
			figures{swaps: 2, missed: 1, arrived: 2, signals: 1, fromRename: only(990 * time.Microsecond), fromRemoval: only(890 * time.Microsecond)},
		},
		{
			"before the removal", 1,
			[]int64{1050, 2050},
			figures{swaps: 2, early: 2, arrived: 2, signals: 1, last: true, fromRename: only(50 * time.Microsecond)},
		},
		{
			"before the removal and after", 1,
			[]int64{1050, 1130, 2050, 2130},
			figures{swaps: 2, early: 2, arrived: 4, signals: 2, last: true, fromRename: only(50 * time.Microsecond), fromRemoval: only(30 * time.Microsecond)},
		},
		{
			"two targets", 2,
			[]int64{1150, 1170, 2150, 2170},
			figures{swaps: 2, arrived: 4, signals: 1, last: true, fromRename: only(170 * time.Microsecond), fromRemoval: only(70 * time.Microsecond)},
		},
		{
			"one of two targets missed", 2,
			[]int64{1150, 1170, 2150},
			figures{swaps: 2, missed: 1, arrived: 3, signals: 0.75, fromRename: only(170 * time.Microsecond), fromRemoval: only(70 * time.Microsecond)},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var arrivals []int64
			for _, at := range test.arrivals {
				arrivals = append(arrivals, at*us)
			}
			got := assess(swaps, arrivals, test.targets)
			if len(got.removals) > len(swaps) || got.fromRemoval != newPercentiles(got.removals) {
				t.Errorf("the percentiles are not of %v", got.removals)
			}
			got.removals = nil
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(figures{}, percentiles{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	count := func(n int) (all []time.Duration) {
		for i := range n {
			all = append(all, time.Duration(n-i)) // from n to 1
		}
		return all
	}
	for _, test := range []struct {
		n    int
		want percentiles
	}{
		{0, percentiles{}},
		{1, percentiles{true, 1, 1, 1}},
		{2, percentiles{true, 1, 2, 2}},
		{20, percentiles{true, 10, 20, 20}},
		{100, percentiles{true, 50, 99, 100}},
		{500, percentiles{true, 250, 495, 500}},
	} {
		if got := newPercentiles(count(test.n)); got != test.want {
			t.Errorf("of %d values: %v, want %v", test.n, got, test.want)
		}
	}
}
