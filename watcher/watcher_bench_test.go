package watcher

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// BenchmarkSnapshot is a look at what has changed as by a swap, or has not. What the
// first two of a size cost is to be compared with reading the same bytes.
func BenchmarkSnapshot(b *testing.B) {
	for _, size := range []struct {
		name        string
		keys, bytes int
	}{
		{"1 key", 1, 200},
		{"1 MiB in 200 keys", 200, 1 << 20 / 200},
	} {
		dir, swap := alternating(b, size.keys, size.bytes)
		b.Run(size.name+"/changed", func(b *testing.B) {
			w := looker(b, dir)
			b.ReportAllocs()
			for b.Loop() {
				swap()
				w.lastEvent = time.Now()
				if before := w.seen; !w.look(b.Context()) || w.seen == before {
					b.Fatal("the change was not seen")
				}
			}
		})
		b.Run(size.name+"/unchanged", func(b *testing.B) {
			w := looker(b, dir)
			b.ReportAllocs()
			for b.Loop() {
				w.look(b.Context())
			}
		})
		b.Run(size.name+"/read and SHA-256 alone", func(b *testing.B) {
			names, err := os.ReadDir(filepath.Join(dir, dataLink))
			must(b, err)
			b.ReportAllocs()
			for b.Loop() {
				swap()
				h := sha256.New()
				for _, name := range names {
					content, err := os.ReadFile(filepath.Join(dir, dataLink, name.Name()))
					must(b, err)
					h.Write(content)
				}
				h.Sum(nil)
			}
		})
	}
	b.Run("10,000 plain files/unchanged", func(b *testing.B) {
		dir := b.TempDir()
		writeMany(b, dir)
		w := looker(b, dir)
		b.ReportAllocs()
		for b.Loop() {
			w.look(b.Context())
		}
	})
}

// BenchmarkBurst is what the events of one update cost until they are known to be all.
func BenchmarkBurst(b *testing.B) {
	const dir = "/etc/conf/"
	update := []fsnotify.Event{ // of a volume with one key
		{Name: dir + "..2026_11_21_07_17_43.3649358542", Op: fsnotify.Create},
		{Name: dir + "..2026_11_21_07_17_43.3649358542", Op: fsnotify.Chmod},
		{Name: dir + "..data_tmp", Op: fsnotify.Create},
		{Name: dir + "..data_tmp", Op: fsnotify.Rename},
		{Name: dir + "..data", Op: fsnotify.Create},
		{Name: dir + "..2026_11_21_07_14_43.2211009", Op: fsnotify.Remove},
	}
	burst := burst{quiet: 100 * time.Millisecond}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		over := false
		for _, ev := range update {
			over = burst.add(now, ev)
		}
		if !over {
			b.Fatal("the last step does not end the burst")
		}
		burst.reset()
	}
}

// BenchmarkEvent is how long an event takes to the last of those that follow a folder.
func BenchmarkEvent(b *testing.B) {
	for _, test := range []struct {
		name      string
		notifiers int
		open      func() (*notifier, error)
	}{
		{"an instance of its own", 1, newNotifier},
		{"shared, but alone", 1, new(Inotify).open},
		{"shared by 3", 3, new(Inotify).open},
	} {
		b.Run(test.name, func(b *testing.B) {
			dir := b.TempDir()
			var all []*notifier
			for range test.notifiers {
				n, err := test.open()
				must(b, err)
				defer func() { must(b, n.close()) }()
				must(b, n.add(dir))
				all = append(all, n)
			}
			for b.Loop() {
				must(b, unix.Chmod(dir, 0o700))
				for _, n := range all {
					<-n.events
				}
			}
		})
	}
}

// W3: content is not read again of files that cannot have changed.
func TestUnchangedIsNotRead(t *testing.T) {
	dir := t.TempDir()
	writeMany(t, dir)
	w := looker(t, dir)
	opens, err := w.Opens()
	must(t, err)
	t.Cleanup(func() { must(t, opens.Close()) })
	w.look(t.Context())
	if opens.Seen() {
		t.Error("a file was opened, though none has changed")
	}
	_, err = os.ReadFile(filepath.Join(dir, "0"))
	must(t, err)
	if !opens.Seen() {
		t.Error("that a file is opened is not seen here")
	}
}

// looker returns a Watcher that is not run, but told when to look. It has seen what
// the path shows, and will not read it again for having been too young.
func looker(tb testing.TB, path string) *Watcher {
	tb.Helper()
	w := New(Options{Paths: []string{path}, Log: slog.New(slog.DiscardHandler)})
	w.startNotify()
	tb.Cleanup(w.stopNotify)
	w.look(tb.Context())
	for start := time.Now(); !w.recheck.IsZero(); w.look(tb.Context()) {
		if time.Since(start) > 10*time.Second {
			tb.Fatal("the files do not come to rest")
		}
		time.Sleep(time.Until(w.recheck))
	}
	return w
}

// writeMany writes 10,000 files.
func writeMany(tb testing.TB, dir string) {
	tb.Helper()
	for i := range 10_000 {
		must(tb, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("1"), 0o644))
	}
}

// alternating returns a volume with two contents that differ in every key, and a
// function that swaps them.
func alternating(b *testing.B, keys, size int) (dir string, swap func()) {
	b.Helper()
	dir = b.TempDir()
	var folders [2]string
	for i := range folders {
		files := make(volumetest.Files)
		for key := range keys {
			files[fmt.Sprint("key", key)] = fmt.Sprintf("%0*d", size, i*keys+key)
		}
		u, err := volumetest.Begin(dir, files)
		must(b, err)
		must(b, u.Swap())
		folders[i], err = os.Readlink(filepath.Join(dir, dataLink))
		must(b, err)
	}
	for key := range keys {
		name := fmt.Sprint("key", key)
		must(b, os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)))
	}
	tmp, data := filepath.Join(dir, "..data_tmp"), filepath.Join(dir, dataLink)
	return dir, func() {
		folders[0], folders[1] = folders[1], folders[0]
		must(b, os.Symlink(folders[1], tmp))
		must(b, os.Rename(tmp, data))
	}
}
