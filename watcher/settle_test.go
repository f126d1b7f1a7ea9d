package watcher

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

const ms = time.Millisecond

// A rig is a Watcher of real files, with events that the test makes up, in a
// bubble of fake time. (A live fsnotify.Watcher would stop that time.)
type rig struct {
	t       *testing.T
	dir     string
	watcher *Watcher
	looks   atomic.Int32             // at the files
	last    atomic.Pointer[Snapshot] // the last one
	events  chan fsnotify.Event
	errors  chan error
	opens   int       // how often inotify was asked for
	refused time.Time // until when it is unavailable
	exclude []string
	began   time.Time
	changes []time.Duration // since began: when each new digest came
}

// settle runs play beside a Watcher of paths, which are relative to the rig's
// folder, and returns when it saw changes, from the first snapshot on.
func settle(t *testing.T, paths []string, prepare, play func(*rig)) []time.Duration {
	t.Helper()
	dir := t.TempDir()
	var r *rig
	synctest.Test(t, func(t *testing.T) {
		r = &rig{t: t, dir: dir, events: make(chan fsnotify.Event), errors: make(chan error)}
		prepare(r)
		for i, path := range paths {
			paths[i] = filepath.Join(dir, path)
		}
		w := New(Options{Paths: paths, Exclude: r.exclude, Debounce: 100 * ms, Resync: time.Minute, Log: slog.New(slog.DiscardHandler)})
		w.open, r.watcher = r.open, w
		out := make(chan Snapshot)
		go func() {
			if err := w.Run(t.Context(), out); err != nil {
				t.Error(err)
			}
		}()
		first := <-out
		r.last.Store(&first)
		r.began = time.Now()
		go func() {
			for {
				select {
				case s := <-out:
					if s.Digest != r.last.Load().Digest {
						r.changes = append(r.changes, time.Since(r.began))
					}
					r.last.Store(&s)
				case <-t.Context().Done():
					return
				}
			}
		}()
		play(r)
		synctest.Wait()
	})
	return r.changes
}

func (r *rig) open() (*notifier, error) {
	r.opens++
	if time.Now().Before(r.refused) {
		return nil, syscall.EMFILE
	}
	watched := make(map[string]bool)
	return &notifier{
		events: r.events,
		errors: r.errors,
		add:    func(path string) error { watched[path] = true; return nil },
		remove: func(path string) error { delete(watched, path); return nil },
		list: func() (paths []string) {
			for path := range watched {
				paths = append(paths, path)
			}
			r.looks.Add(1)
			return paths
		},
		close: func() error { return nil },
	}, nil
}

// event sends an event and waits until it has been dealt with.
func (r *rig) event(op fsnotify.Op, name string) {
	r.events <- fsnotify.Event{Name: filepath.Join(r.dir, name), Op: op}
	synctest.Wait()
}

func (r *rig) write(content string) {
	if err := os.WriteFile(filepath.Join(r.dir, "file"), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// begin, swap and finish are the kubelet's steps, each with the events of it.
func (r *rig) begin(volume string) *volumetest.Update {
	u, err := volumetest.Begin(filepath.Join(r.dir, volume), volumetest.Files{"key": "1"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.event(fsnotify.Create, volume+"/..new")
	r.event(fsnotify.Chmod, volume+"/..new")
	return u
}

func (r *rig) swap(volume string, u *volumetest.Update) {
	if err := u.Swap(); err != nil {
		r.t.Fatal(err)
	}
	r.event(fsnotify.Create, volume+"/..data_tmp")
	r.event(fsnotify.Rename, volume+"/..data_tmp")
	r.event(fsnotify.Create, volume+"/..data")
}

func (r *rig) finish(volume string, u *volumetest.Update) {
	if err := u.Finish(); err != nil {
		r.t.Fatal(err)
	}
	r.event(fsnotify.Remove, volume+"/..old")
}

func (r *rig) volume(name string) {
	if err := volumetest.Write(filepath.Join(r.dir, name), volumetest.Files{"key": "0"}); err != nil {
		r.t.Fatal(err)
	}
}

func TestSettle(t *testing.T) {
	file := func(r *rig) { r.write("0") }
	volume := func(r *rig) { r.volume("v") }
	volumes := func(r *rig) { r.volume("v"); r.volume("w") }
	for _, test := range []struct {
		name    string
		paths   []string
		prepare func(*rig)
		play    func(*rig)
		want    []time.Duration
	}{{
		"one write", []string{"file"}, file, func(r *rig) {
			r.write("1")
			r.event(fsnotify.Write, "file")
			time.Sleep(time.Second)
		}, []time.Duration{100 * ms},
	}, {
		"quiet begins after the last of several writes", []string{"file"}, file, func(r *rig) {
			for _, content := range []string{"1", "12", "123", "1234"} {
				r.write(content)
				r.event(fsnotify.Write, "file")
				time.Sleep(90 * ms)
			}
			time.Sleep(time.Second)
		}, []time.Duration{370 * ms},
	}, {
		"an empty file on the way to its content is not seen", []string{"file"}, file, func(r *rig) {
			r.write("")
			r.event(fsnotify.Write, "file")
			time.Sleep(99 * ms)
			r.write("1")
			r.event(fsnotify.Write, "file")
			time.Sleep(time.Second)
		}, []time.Duration{199 * ms},
	}, {
		"there and back within a burst is no change", []string{"file"}, file, func(r *rig) {
			r.write("1")
			r.event(fsnotify.Write, "file")
			time.Sleep(50 * ms)
			r.write("0")
			r.event(fsnotify.Write, "file")
			time.Sleep(time.Second)
		}, nil,
	}, {
		"a burst without end is looked at after twenty quiet times", []string{"file"}, file, func(r *rig) {
			for range 100 {
				r.write("1")
				r.event(fsnotify.Write, "file")
				time.Sleep(30 * ms)
			}
		}, []time.Duration{2000 * ms},
	}, {
		"another file's events are no burst", []string{"file"}, file, func(r *rig) {
			r.write("1")
			r.event(fsnotify.Write, "file")
			for range 20 {
				time.Sleep(50 * ms)
				r.event(fsnotify.Write, "log")
			}
		}, []time.Duration{100 * ms},
	}, {
		"the kubelet's last step ends the burst at once", []string{"v"}, volume, func(r *rig) {
			u := r.begin("v")
			time.Sleep(40 * ms)
			r.swap("v", u)
			time.Sleep(3 * ms)
			r.finish("v", u)
			time.Sleep(time.Second)
		}, []time.Duration{43 * ms},
	}, {
		"a swap long after its folder still ends at the last step", []string{"v"}, volume, func(r *rig) {
			u := r.begin("v")
			time.Sleep(500 * ms)
			r.swap("v", u)
			time.Sleep(3 * ms)
			r.finish("v", u)
			time.Sleep(time.Second)
		}, []time.Duration{503 * ms},
	}, {
		"the kubelet dies before its last step", []string{"v"}, volume, func(r *rig) {
			u := r.begin("v")
			r.swap("v", u)
			time.Sleep(time.Second)
		}, []time.Duration{100 * ms},
	}, {
		"a first write has no last step", []string{"v"}, func(*rig) {}, func(r *rig) {
			if err := os.Mkdir(filepath.Join(r.dir, "v"), 0o755); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Create, "v")
			time.Sleep(time.Second)
			u := r.begin("v")
			r.swap("v", u)
			if err := u.Finish(); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Create, "v/key")
			time.Sleep(time.Second)
		}, []time.Duration{1100 * ms},
	}, {
		"an optional volume appears an hour later", []string{"v"}, func(r *rig) {
			if err := os.Mkdir(filepath.Join(r.dir, "v"), 0o755); err != nil {
				r.t.Fatal(err)
			}
		}, func(r *rig) {
			time.Sleep(time.Hour)
			u := r.begin("v")
			r.swap("v", u)
			if err := u.Finish(); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Create, "v/key")
			time.Sleep(time.Second)
		}, []time.Duration{time.Hour + 100*ms},
	}, {
		"a failed write removes its own folder, which ends nothing",
		[]string{"v", "file"},
		func(r *rig) { r.volume("v"); r.write("0") }, func(r *rig) {
			r.write("1")
			u := r.begin("v")
			if err := u.Abort(); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Remove, "v/..new")
			time.Sleep(time.Second)
		},
		[]time.Duration{100 * ms},
	}, {
		"one volume waits for another that is between swap and removal", []string{"v", "w"}, volumes, func(r *rig) {
			v := r.begin("v")
			r.swap("v", v)
			w := r.begin("w")
			r.swap("w", w)
			r.finish("v", v)
			time.Sleep(20 * ms)
			r.finish("w", w)
			time.Sleep(time.Second)
		}, []time.Duration{120 * ms},
	}, {
		"one volume waits for another whose swap is to come", []string{"v", "w"}, volumes, func(r *rig) {
			w := r.begin("w")
			v := r.begin("v")
			r.swap("v", v)
			r.finish("v", v)
			time.Sleep(20 * ms)
			r.swap("w", w)
			r.finish("w", w)
			time.Sleep(time.Second)
		}, []time.Duration{120 * ms},
	}, {
		"no volume waits for a kubelet that died", []string{"v", "w"}, volumes, func(r *rig) {
			r.swap("w", r.begin("w"))
			time.Sleep(time.Second)
			v := r.begin("v")
			r.swap("v", v)
			r.finish("v", v)
			time.Sleep(time.Second)
		}, []time.Duration{100 * ms, 1100 * ms},
	}, {
		"volumes that are updated one right after the other are one change", []string{"v", "w"}, volumes, func(r *rig) {
			for _, volume := range []string{"v", "w"} {
				u := r.begin(volume)
				r.swap(volume, u)
				time.Sleep(3 * ms)
				r.finish(volume, u)
				time.Sleep(90 * ms)
			}
			time.Sleep(time.Second)
		}, []time.Duration{196 * ms},
	}, {
		"two keys of a volume are one volume", []string{"v/key", "v/..data/key"}, volume, func(r *rig) {
			u := r.begin("v")
			r.swap("v", u)
			r.finish("v", u)
			time.Sleep(time.Second)
		}, []time.Duration{0},
	}, {
		"a file and a folder beside one volume change nothing", []string{"v", "file", "folder"}, func(r *rig) {
			r.write("0")
			if err := os.Mkdir(filepath.Join(r.dir, "folder"), 0o755); err != nil {
				r.t.Fatal(err)
			}
			volume(r)
		}, func(r *rig) {
			u := r.begin("v")
			time.Sleep(40 * ms)
			r.swap("v", u)
			r.finish("v", u)
			time.Sleep(time.Second)
		}, []time.Duration{40 * ms},
	}, {
		"a volume that is still to come changes nothing", []string{"v", "w"}, volume, func(r *rig) {
			u := r.begin("v")
			r.swap("v", u)
			r.finish("v", u)
			time.Sleep(time.Second)
			r.volume("w")
			r.event(fsnotify.Create, "w")
			time.Sleep(time.Second)
			u = r.begin("w") // now there are two
			r.swap("w", u)
			r.finish("w", u)
			time.Sleep(time.Second)
		}, []time.Duration{0, 1100 * ms, 2100 * ms},
	}, {
		"a failed first write of another volume blocks nothing", []string{"v", "w"}, func(r *rig) {
			volume(r)
			if err := os.Mkdir(filepath.Join(r.dir, "w"), 0o755); err != nil {
				r.t.Fatal(err)
			}
		}, func(r *rig) {
			w := r.begin("w")
			if err := w.Abort(); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Remove, "w/..new")
			time.Sleep(20 * ms)
			v := r.begin("v")
			r.swap("v", v)
			r.finish("v", v)
			time.Sleep(time.Second)
		}, []time.Duration{20 * ms},
	}} {
		t.Run(test.name, func(t *testing.T) {
			got := settle(t, test.paths, test.prepare, test.play)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes seen (-want +got):\n%s", diff)
			}
		})
	}
}

// What no event announces is found all the same, and seen twice before it counts.
func TestSettleWithoutEvents(t *testing.T) {
	file := func(r *rig) { r.write("0") }
	for _, test := range []struct {
		name    string
		prepare func(*rig)
		play    func(*rig)
		want    []time.Duration
		opens   int
	}{{
		"a file system without events: resync", file, func(r *rig) {
			time.Sleep(30 * time.Second)
			r.write("1")
			time.Sleep(2 * time.Minute)
		}, []time.Duration{time.Minute}, 1,
	}, {
		"events were lost: everything is watched anew", file, func(r *rig) {
			time.Sleep(30 * time.Second)
			r.write("1")
			r.errors <- fsnotify.ErrEventOverflow
			time.Sleep(time.Second)
		}, []time.Duration{30*time.Second + 100*ms}, 2,
	}, {
		"a volume that is back, but not with its keys yet", func(r *rig) { file(r); r.volume("v") }, func(r *rig) {
			if err := os.RemoveAll(filepath.Join(r.dir, "v")); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Remove, "v")
			time.Sleep(30 * time.Second)
			u, err := volumetest.Begin(filepath.Join(r.dir, "v"), volumetest.Files{"key": "1"})
			if err == nil {
				err = u.Swap()
			}
			if err != nil {
				r.t.Fatal(err)
			}
			time.Sleep(29*time.Second + 950*ms) // the resync at 59.9 s sees this
			if err := u.Finish(); err != nil {
				r.t.Fatal(err)
			}
			r.event(fsnotify.Create, "v/key")
			time.Sleep(10 * time.Second)
		}, []time.Duration{time.Minute + 50*ms}, 1,
	}, {
		"no inotify instance: polling every two seconds", func(r *rig) { file(r); r.refused = time.Now().Add(time.Hour) }, func(r *rig) {
			time.Sleep(10*time.Second + 500*ms)
			r.write("1")
			time.Sleep(10 * time.Second)
		}, []time.Duration{12 * time.Second}, 1,
	}, {
		"half of a file, found by polling, is not the change", func(r *rig) { file(r); r.refused = time.Now().Add(time.Hour) }, func(r *rig) {
			time.Sleep(11 * time.Second)
			r.write("1")
			time.Sleep(900 * ms) // the look at 11.9 s sees this
			time.Sleep(50 * ms)
			r.write("12") // and that at 12.0 s this
			time.Sleep(10 * time.Second)
		}, []time.Duration{12100 * ms}, 1,
	}, {
		"inotify comes back at a resync", func(r *rig) { file(r); r.refused = time.Now().Add(30 * time.Second) }, func(r *rig) {
			time.Sleep(70 * time.Second)
			r.write("1")
			r.event(fsnotify.Write, "file")
			time.Sleep(time.Second)
		}, []time.Duration{70*time.Second + 100*ms}, 2,
	}} {
		t.Run(test.name, func(t *testing.T) {
			var r *rig
			got := settle(t, []string{"file", "v"}, test.prepare, func(playing *rig) { r = playing; test.play(r) })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes seen (-want +got):\n%s", diff)
			}
			if r.opens != test.opens {
				t.Errorf("inotify was asked for %d times, want %d", r.opens, test.opens)
			}
		})
	}
}

// While a change is under way nothing should make a program read it.
func TestSettling(t *testing.T) {
	settle(t, []string{"file"}, func(r *rig) { r.write("0") }, func(r *rig) {
		w := r.watcher
		if w.Settling() {
			t.Error("settling after the first snapshot")
		}
		r.write("1")
		r.event(fsnotify.Write, "file")
		time.Sleep(99 * ms)
		if !w.Settling() {
			t.Error("not settling 99 ms after an event")
		}
		time.Sleep(2 * ms)
		synctest.Wait()
		if w.Settling() {
			t.Error("settling 101 ms after the last event")
		}
	})
}

// What was lost with events may be under way still.
func TestSettlingAfterLostEvents(t *testing.T) {
	settle(t, []string{"file"}, func(r *rig) { r.write("0") }, func(r *rig) {
		r.errors <- fsnotify.ErrEventOverflow
		synctest.Wait()
		if !r.watcher.Settling() {
			t.Error("not settling after events were lost")
		}
		time.Sleep(101 * ms)
		synctest.Wait()
		if r.watcher.Settling() {
			t.Error("settling when it has been quiet")
		}
	})
}

// What a look has found without an event may be under way still.
func TestSettlingWithoutEvents(t *testing.T) {
	settle(t, []string{"file"}, func(r *rig) { r.write("0"); r.refused = time.Now().Add(time.Hour) }, func(r *rig) {
		time.Sleep(11 * time.Second)
		r.write("1")
		time.Sleep(950 * ms) // the look at 11.9 s sees this
		if !r.watcher.Settling() {
			t.Error("not settling when a change was seen only once")
		}
		time.Sleep(100 * ms)
		synctest.Wait()
		if r.watcher.Settling() {
			t.Error("settling when it was seen twice")
		}
	})
}

// What others are told of how changes are noticed.
func TestModeAndErrors(t *testing.T) {
	settle(t, []string{"file"}, func(r *rig) { r.write("0"); r.refused = time.Now().Add(30 * time.Second) }, func(r *rig) {
		told := func(when, mode string, errors uint64) {
			synctest.Wait()
			if r.watcher.Mode() != mode || r.watcher.Errors() != errors {
				t.Errorf("%s: mode %s and %d errors, want %s and %d", when, r.watcher.Mode(), r.watcher.Errors(), mode, errors)
			}
		}
		told("without inotify", "poll", 1)
		time.Sleep(59 * time.Second)
		told("before it is asked for again", "poll", 1)
		time.Sleep(2 * time.Second)
		told("after that", "inotify", 1)
		r.errors <- fsnotify.ErrEventOverflow
		told("events were lost", "inotify", 2)
		time.Sleep(time.Second)
		if err := os.Remove(filepath.Join(r.dir, "file")); err != nil {
			t.Fatal(err)
		}
		r.event(fsnotify.Remove, "file")
		time.Sleep(time.Second)
		told("the file is gone", "inotify", 3)
	})
}
