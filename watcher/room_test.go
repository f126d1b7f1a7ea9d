package watcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// What a scan may fill is bounded by the memory that there is, and by a number.
func TestRoom(t *testing.T) {
	const path = "/etc/app/conf.d/00000000000000000001.conf"
	fill := func(limit int64, folder int) (entries int, err error) {
		r := room{limit: limit}
		for err == nil && r.entries < 2*maxEntries {
			entries = r.entries
			if err = r.enter("/etc/app/conf.d", folder); err != nil {
				break
			}
			for range folder {
				if err = r.keep(path); err != nil {
					break
				}
			}
		}
		return entries, err
	}
	for _, test := range []struct {
		name        string
		limit       int64
		least, most int
		want        string
	}{
		{"32 MiB", 32 << 20, 20_000, 30_000, "(32 MiB) has room for"},
		{"64 MiB", 64 << 20, 50_000, 70_000, "(64 MiB) has room for"},
		{"a limit that nothing fits in", 8 << 20, fewEntries - 100, fewEntries, "(8 MiB) has room for"},
		{"no limit to speak of", 1 << 40, maxEntries, maxEntries, fmt.Sprintf("more than %d entries", maxEntries)},
	} {
		t.Run(test.name, func(t *testing.T) {
			entries, err := fill(test.limit, 100)
			if entries < test.least || entries > test.most || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d entries fit, want %d to %d: %v", entries, test.least, test.most, err)
			}
		})
	}
}

// A single folder may be too large to be listed.
func TestMostNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 * fewEntries {
		must(t, os.Symlink("nowhere", filepath.Join(dir, fmt.Sprint(i))))
	}
	for _, test := range []struct{ entries, limit, want int }{
		{0, 8 << 20, fewEntries + 1}, // what few entries take is not asked
		{0, 1 << 40, 2 * fewEntries},
		{maxEntries - 10, 1 << 40, 11},
		{maxEntries, 1 << 40, 1},
	} {
		r := room{limit: int64(test.limit), entries: test.entries}
		names, err := readNames(dir, r.names())
		must(t, err)
		const aBuffer = 200 // are read at a time
		if len(names) < test.want || len(names) > test.want+aBuffer {
			t.Errorf("%d entries and a limit of %d bytes: %d names were read, want about %d", test.entries, test.limit, len(names), test.want)
		}
	}
}

// Rules share the memory: one that comes too late for its files finds no room, and leaves
// it to the others, which go on as they were.
func TestRulesShareTheRoom(t *testing.T) {
	var shared atomic.Int64
	rule := func() (scan func(entries int) error, leave func()) {
		last := room{shared: &shared}
		return func(entries int) error {
			r := room{limit: 32 << 20, shared: &shared, held: last.held}
			if most := r.names(); most < entries && entries <= int(last.held/entryBytes) {
				t.Errorf("of a folder of %d that there was room for %d names are read", entries, most)
			}
			err := r.enter("/etc/app", entries)
			r.settle(r.used)
			last = r
			return err
		}, func() { last.settle(0) }
	}
	first, endFirst := rule()
	second, endSecond := rule()
	third, endThird := rule()

	must(t, first(20_000))
	if err := second(20_000); err == nil || !strings.Contains(err.Error(), "(32 MiB, of which other rules take 11 MiB)") {
		t.Errorf("a second rule with as many files gets %v", err)
	}
	must(t, first(20_000)) // while the second holds what it found
	must(t, first(15_000))
	must(t, third(4_000)) // so few are always let in
	endSecond()
	must(t, first(20_000))
	must(t, second(8_000))
	if err := first(30_000); err == nil {
		t.Error("the first rule finds room for more")
	}
	endFirst()
	endSecond()
	endThird()
	if left := shared.Load(); left != 0 {
		t.Errorf("%d bytes are still held when all have left", left)
	}
}

// Of files that there was no room for nothing is kept.
func TestNothingIsKeptWithoutRoom(t *testing.T) {
	w := New(Options{Inotify: new(Inotify)})
	scan := func(err error) {
		s := newScan(t.Context(), w.cache, nil)
		s.room.shared, s.room.held = w.room.shared, w.room.held
		must(t, s.room.enter("/etc/app", 1_000))
		w.cache.files["/etc/app/conf"] = &content{used: w.cache.scan}
		w.keep(s, err)
	}
	scan(nil)
	if len(w.cache.files) != 1 || w.room.shared.Load() != 1_000*entryBytes {
		t.Errorf("after a scan %d files are remembered, and %d bytes held", len(w.cache.files), w.room.shared.Load())
	}
	scan(errors.Join(fullError("FILE holds more entries")))
	if len(w.cache.files) != 0 || w.room.shared.Load() != 0 {
		t.Errorf("without room %d files are remembered, and %d bytes held", len(w.cache.files), w.room.shared.Load())
	}
}

// This machine has some memory, whatever tells how much.
func TestMemoryLimit(t *testing.T) {
	if limit := memoryLimit(); limit < 1<<20 || limit > 1<<50 {
		t.Errorf("%d bytes", limit)
	}
	if left := available(); left < 1<<20 || left > 1<<50 {
		t.Errorf("%d bytes are available", left)
	}
}
