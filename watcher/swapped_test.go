package watcher

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// atEntry is a context that does something when a scan comes to its nth entry.
type atEntry struct {
	context.Context
	n  int
	do func()
}

func (c *atEntry) Err() error {
	if c.n--; c.n == 0 {
		c.do()
	}
	return c.Context.Err()
}

// One walk is enough after the kubelet's last step, but not if it begins again.
func TestSwapDuringTheWalk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "v")
	write := func(files volumetest.Files) {
		if err := volumetest.Write(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	before := volumetest.Files{"a": "old", "b": "old", "c": "old"}
	after := []volumetest.Files{
		{"a": "new", "b": "new", "c": "new"}, // a whole update before ..data was looked at
		{"b": "new", "c": "new", "d": "new"},
		{"b": "new", "c": "new", "d": "new"},
		{"b": "new", "c": "new", "d": "new"},
	}
	watch := func(ctx context.Context) [32]byte {
		w := New(Options{Paths: []string{dir}, Log: slog.New(slog.DiscardHandler)})
		w.startNotify()
		defer w.stopNotify()
		if _, _, stable, err := w.scan(t.Context()); !stable || err != nil {
			t.Fatalf("first scan: stable %v, %v", stable, err)
		}
		done, err := os.Readlink(filepath.Join(dir, "..data"))
		must(t, err)
		w.lastStep, w.burst.done, w.seen, w.good = true, done, [32]byte{}, &Snapshot{}
		_, digest, stable, err := w.scan(ctx)
		if !stable || err != nil {
			t.Errorf("stable %v, %v", stable, err)
		}
		return digest
	}
	for n, after := range after {
		write(before)
		got := watch(&atEntry{t.Context(), n + 1, func() { write(after) }})
		if want := watch(t.Context()); got != want {
			t.Errorf("a swap at check %d: the scan shows neither all of the old nor all of the new", n+1)
		}
	}
}
