package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestUsage compares what usageOf says of this process with what the kernel tells it
// by getrusage(2).
func TestUsage(t *testing.T) {
	of := func(who int) time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			t.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	both := func() time.Duration { return of(syscall.RUSAGE_SELF) + of(syscall.RUSAGE_CHILDREN) }
	const tick = 10 * time.Millisecond

	least := both()
	got, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The children's ticks are cut off, once for user and once for system time.
	if most := both(); got.cpu < least-2*tick || got.cpu > most {
		t.Errorf("CPU time %v, want %v to %v", got.cpu, least, most)
	}
	if got.anon <= 0 || got.rss < got.anon || got.rss < got.pss || got.pss <= 0 || got.switches <= 0 {
		t.Errorf("it cannot be: %+v", got)
	}

	child := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
	before := of(syscall.RUSAGE_CHILDREN)
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	used := of(syscall.RUSAGE_CHILDREN) - before
	after, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after.minus(got).cpu; grown < used-2*tick {
		t.Errorf("%v more after a child that has used %v", grown, used)
	}
}
