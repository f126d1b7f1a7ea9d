package watcher

import (
	"context"
	"log/slog"
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
	write := func(content string) {
		if err := volumetest.Write(dir, volumetest.Files{"a": content, "b": content, "c": content}); err != nil {
			t.Fatal(err)
		}
	}
	watch := func(ctx context.Context) [32]byte {
		w := New(Options{Paths: []string{dir}, Log: slog.New(slog.DiscardHandler)})
		w.startNotify()
		defer w.stopNotify()
		if _, _, stable, err := w.scan(t.Context()); !stable || err != nil {
			t.Fatalf("first scan: stable %v, %v", stable, err)
		}
		w.lastStep, w.seen = true, [32]byte{}
		_, digest, stable, err := w.scan(ctx)
		if !stable || err != nil {
			t.Errorf("stable %v, %v", stable, err)
		}
		return digest
	}
	for n := range 4 {
		write("old")
		got := watch(&atEntry{t.Context(), n + 1, func() { write("new") }})
		if want := watch(t.Context()); got != want {
			t.Errorf("a swap at check %d: the scan shows neither all of the old nor all of the new", n+1)
		}
	}
}
