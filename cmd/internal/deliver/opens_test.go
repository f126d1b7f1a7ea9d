package deliver

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// A shelf is a real volume with a real watcher, beside a delivery in fake time.
type shelf struct {
	*stage
	t   *testing.T
	dir string
	out chan watcher.Snapshot
}

// playOnShelf runs a delivery with VERIFY=5s to one target, which has been signalled for
// the volume's first content, and returns the outcomes.
func playOnShelf(t *testing.T, act func(*shelf)) []string {
	t.Helper()
	v := &shelf{t: t, dir: t.TempDir(), out: make(chan watcher.Snapshot)}
	v.write("1")
	w := watcher.New(watcher.Options{Paths: []string{v.dir}, Debounce: 10 * ms, Resync: time.Hour, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx, v.out) }() // not in the bubble: it reads real events
	first := <-v.out
	_, log := playAs(t, config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: 5 * time.Second}, func(s *stage) {
		v.stage = s
		s.have(&signal.Target{PID: 7, Name: "web"})
		s.snapshots <- first
		time.Sleep(ms)
		synctest.Wait()
		act(v)
		time.Sleep(time.Minute)
	}, func(_ *stage, l *Loop) { l.env.files.opens = w.Opens })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	var outcomes []string
	for _, found := range regexp.MustCompile(`outcome=(\S+)`).FindAllStringSubmatch(log, -1) {
		outcomes = append(outcomes, found[1])
	}
	return outcomes
}

func (v *shelf) write(content string) {
	if err := volumetest.Write(v.dir, volumetest.Files{"a": content, "b": content}); err != nil {
		v.t.Fatal(err)
	}
}

// swap changes the content, and has it delivered.
func (v *shelf) swap(content string) {
	v.write(content)
	v.snapshots <- <-v.out
	v.sleep(ms)
}

// sleep lets time pass, and podsignal do what is due.
func (v *shelf) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// open does what a program does that reads a file.
func (v *shelf) open(name string) {
	f, err := os.Open(filepath.Join(v.dir, name))
	if err != nil {
		v.t.Error(err)
		return
	}
	f.Close()
	v.wake()
}

// inotifies are how many inotify instances this process has.
func inotifies(t *testing.T) (n int) {
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.Contains(to, "inotify") {
			n++
		}
	}
	return n
}

// A file that was opened belongs to the last signal before that.
func TestOpens(t *testing.T) {
	for _, test := range []struct {
		name string
		act  func(*shelf)
		want []string
	}{{
		"none", func(*shelf) {}, []string{"unseen"},
	}, {
		"one", func(v *shelf) { v.open("a") }, []string{"read"},
	}, {
		"one that is no file of the volume", func(v *shelf) { v.open("."); v.open("..data") }, []string{"unseen"},
	}, {
		"after the first of two signals", func(v *shelf) {
			v.open("a")
			time.Sleep(2 * time.Second)
			v.swap("2")
		}, []string{"read", "unseen"},
	}, {
		"right before the second", func(v *shelf) {
			v.sleep(2 * time.Second)
			v.refuse = func(*signal.Target) error { v.open("a"); return nil }
			v.swap("2")
		}, []string{"read", "unseen"},
	}, {
		"by the second, at once", func(v *shelf) {
			v.sleep(2 * time.Second)
			v.reload = func() { v.open("b") }
			v.swap("2")
		}, []string{"unseen", "read"},
	}, {
		"by each", func(v *shelf) {
			v.reload = func() { v.open("b") }
			v.open("b")
			time.Sleep(2 * time.Second)
			v.swap("2")
			time.Sleep(2 * time.Second)
			v.swap("3")
		}, []string{"read", "read", "read"},
	}, {
		"so often by the first that they fill more than a buffer", func(v *shelf) {
			v.sleep(900 * ms)
			v.refuse = func(*signal.Target) error {
				for range 500 { // in turn: the kernel merges equal ones
					v.open("a")
					v.open("b")
				}
				return nil
			}
			v.swap("2")
		}, []string{"read", "unseen"},
	}, {
		"by podsignal, while files are changing and at its end", func(v *shelf) {
			v.settling.Store(true)
			v.open("a")
			time.Sleep(time.Second) // in which podsignal checks the target
			v.settling.Store(false)
			v.write("1")
			v.snapshots <- <-v.out
		}, []string{"unseen"},
	}, {
		"by whoever writes to it", func(v *shelf) {
			v.sleep(time.Second)
			v.open("a")
			v.sleep(ms) // what is written takes effect a little later
			v.settling.Store(true)
			v.sleep(100 * ms)
			v.settling.Store(false)
			v.write("1")
			v.snapshots <- <-v.out
		}, []string{"unseen"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			before := inotifies(t)
			if diff := cmp.Diff(test.want, playOnShelf(t, test.act)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if n := inotifies(t); n > before {
				t.Errorf("%d inotify instances, %d before", n, before)
			}
		})
	}
}

// It costs little that something else in the same folder is opened all the time.
func TestOpensOfOthers(t *testing.T) {
	var awaits int32
	playOnShelf(t, func(v *shelf) {
		for range 4000 {
			v.open("..data")
			v.sleep(ms)
		}
		awaits = v.awaits.Load()
	})
	if awaits < 8 || awaits > 20 {
		t.Errorf("awaited %d times in 4 s", awaits)
	}
}

// The instance for opened files is given back when no outcome is being watched.
func TestOpensGivenBack(t *testing.T) {
	playOnShelf(t, func(v *shelf) {
		during := inotifies(t)
		time.Sleep(6 * time.Second)
		if n := inotifies(t); n != during-1 {
			t.Errorf("%d inotify instances after VERIFY, %d while it lasted", n, during)
		}
		v.swap("2")
		if n := inotifies(t); n != during {
			t.Errorf("%d inotify instances after the next signal, %d after the first", n, during)
		}
	})
}
