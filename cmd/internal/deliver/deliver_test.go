package deliver

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/logtest"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

const ms = time.Millisecond

// changedAt is when all changes of these tests happen, since boot: so late that the time
// since it never matters. uptime is now.
const changedAt = 100 * 365 * 24 * time.Hour

func uptime() time.Duration { return new(signal.Target).Age() }

// A stage is a delivery with processes that the test makes up, in fake time.
type stage struct {
	snapshots chan watcher.Snapshot
	mu        sync.Mutex
	targets   []*signal.Target           // under mu
	refuse    func(*signal.Target) error // nil: signals arrive
	deny      func(*signal.Target) error // the same, but when all has been prepared
	reload    func()                     // what a signal does
	finding   time.Duration              // a search takes
	broken    error                      // of a search
	warming   atomic.Bool                // questions whether a target is ready are events too
	tellAgain bool                       // searches for newcomers are events too
	exits     chan struct{}              // a target has ended, or awaited can be read
	noPidfd   bool                       // exits does not tell
	awaited   atomic.Int32               // descriptor; 0: none
	awaits    atomic.Int32               // how often one was awaited
	takes     time.Duration              // a call does
	answer    func() error               // of a call; nil: at once, and that it is accepted
	settling  atomic.Bool                // the files are changing
	begun     chan struct{}              // they begin to
	children  atomic.Value               // []int: those of every target
	ended     atomic.Bool                // every target has
	content   atomic.Uint32              // what the files show: the first byte of their digest
	loop      *Loop
	log       logtest.Buffer
	began     time.Time
	events    []string
}

// play runs a delivery with MIN_INTERVAL=1s and this VERIFY until act returns, and returns what
// it did and when: each search for targets, each signal that arrived.
func play(t *testing.T, verify time.Duration, act func(*stage)) (events []string, log string) {
	t.Helper()
	return playAs(t, config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: verify}, act)
}

// playAs is play with another configuration.
func playAs(t *testing.T, r config.Rule, act func(*stage), adjust ...func(*stage, *Loop)) (events []string, log string) {
	t.Helper()
	r.Files.Paths = []string{"/v"}
	if r.Reload == nil {
		r.Process = "web"
	}
	s := new(stage)
	synctest.Test(t, func(t *testing.T) {
		s.snapshots = make(chan watcher.Snapshot)
		s.children.Store([]int(nil))
		s.began = time.Now()
		l := New(r, watcher.New(watcher.Options{}), signal.NewFinder(signal.Options{}), Outside{}, slog.New(slog.NewTextHandler(&s.log, nil)))
		s.loop = l
		l.env.files.settling = s.settling.Load
		s.begun = make(chan struct{})
		l.env.files.begun = s.begun
		l.env.files.opens = func() (*watcher.Opens, error) { return nil, syscall.EMFILE }
		s.exits = make(chan struct{}, 1)
		l.env.procs = processes{
			find: func(context.Context) ([]*signal.Target, error) {
				switch {
				case !l.search.next.IsZero():
					s.note("find")
				case s.tellAgain:
					s.note("find again, whole")
				}
				time.Sleep(s.finding)
				return s.found()
			},
			findNew: func(context.Context) ([]*signal.Target, error) {
				if s.tellAgain {
					s.note("find again")
				}
				return s.found()
			},
			findStarted: func(context.Context) ([]*signal.Target, error) {
				s.note("find")
				time.Sleep(s.finding)
				return s.found()
			},
			exits:   s.exits,
			await:   s.await,
			watched: func(*signal.Target) bool { return !s.noPidfd },
			ended:   func(*signal.Target) bool { return s.ended.Load() },
			children: func(*signal.Target) (map[int]bool, error) {
				children := make(map[int]bool)
				for _, child := range s.children.Load().([]int) {
					children[child] = true
				}
				return children, nil
			},
		}
		if r.Reload == nil {
			l.env.way = fakeSignal{s}
		} else {
			l.env.procs.targetsOfURL(r)
			l.env.way = byURL{r.StartGrace, l.env.procs.ended, s.call}
		}
		for _, adjust := range adjust {
			adjust(s, l)
		}
		go func() {
			if err := l.Run(t.Context(), s.snapshots); err != nil {
				t.Error(err)
			}
		}()
		act(s)
		synctest.Wait()
	})
	return s.events, s.log.String()
}

// end ends every target, of which exits tells if it can.
func (s *stage) end() {
	s.ended.Store(true)
	if !s.noPidfd {
		s.exits <- struct{}{}
	}
}

// await has exits tell when a descriptor can be read, by a test's call of wake.
func (s *stage) await(fd int) error {
	s.awaited.Store(int32(fd))
	s.awaits.Add(1)
	s.wake()
	return nil
}

// wake tells by exits that what is awaited can be read, if it can.
func (s *stage) wake() {
	ready := []unix.PollFd{{Fd: s.awaited.Load(), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, 0); ready[0].Fd == 0 || n < 1 || err != nil {
		return
	}
	s.awaited.Store(0)
	select {
	case s.exits <- struct{}{}:
	default:
	}
}

// fakeSignal is how the targets of a stage are signalled.
type fakeSignal struct{ *stage }

func (fakeSignal) done() string { return "signalled" }

func (s fakeSignal) ready(target *signal.Target) error {
	if s.warming.Load() {
		s.note(fmt.Sprint("ready? ", target.PID))
	}
	if s.refuse != nil {
		return s.refuse(target)
	}
	return nil
}

func (s fakeSignal) tell(_ context.Context, target *signal.Target) (<-chan error, error) {
	if s.deny != nil {
		if err := s.deny(target); err != nil {
			return nil, err
		}
	}
	s.note(fmt.Sprint("signal ", target.PID))
	if s.reload != nil {
		s.reload()
	}
	return nil, nil
}

// call is a call of the URL.
func (s *stage) call(ctx context.Context) error {
	s.note("call")
	if s.answer == nil {
		return nil
	}
	select {
	case <-time.After(s.takes):
		return s.answer()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// found are the targets that are there.
func (s *stage) found() ([]*signal.Target, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	if len(s.targets) == 0 {
		return nil, fmt.Errorf("%w: none is there", signal.ErrNoTarget)
	}
	return s.targets, nil
}

// have sets the targets that are there.
func (s *stage) have(targets ...*signal.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets = targets
}

func (s *stage) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf("%v %s", time.Since(s.began), what))
}

// shows is a snapshot of a change that happened long after the targets started.
func (s *stage) shows(content byte) {
	s.content.Store(uint32(content))
	s.snapshots <- watcher.Snapshot{Digest: [32]byte{content}, Changed: changedAt}
	synctest.Wait()
}

// stirs is a snapshot of files that were seen to change this long ago.
func (s *stage) stirs(content byte, ago time.Duration) {
	s.content.Store(uint32(content))
	s.snapshots <- watcher.Snapshot{Digest: [32]byte{content}, Changed: changedAt, Stirred: time.Now().Add(-ago)}
	synctest.Wait()
}

// fails is a snapshot of files of which something is gone or unreadable.
func (s *stage) fails(content byte, err error) {
	s.snapshots <- watcher.Snapshot{Digest: [32]byte{content}, Changed: changedAt, Err: err}
	synctest.Wait()
}

func target(pid int) *signal.Target {
	return &signal.Target{PID: pid, Name: "web", Started: time.Minute}
}

func TestDelivery(t *testing.T) {
	for _, test := range []struct {
		name string
		act  func(*stage)
		want []string
	}{{
		"D1: the same digest again is no signal", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "1m0s find"},
	}, {
		"D1: back while the change is still pending is no signal", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(500 * ms)
			s.shows(2)
			time.Sleep(100 * ms)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "500ms find", "600ms find"},
	}, {
		"a change that begins is prepared for, no more", func(s *stage) {
			s.have(target(7), target(8))
			s.begun <- struct{}{}
			s.shows(1)
			time.Sleep(100 * ms)
			s.shows(2)
			time.Sleep(time.Minute)
			s.warming.Store(true)
			s.begun <- struct{}{} // when it is over
			time.Sleep(time.Minute)
			s.settling.Store(true)
			s.begun <- struct{}{}
			time.Sleep(time.Minute)
		}, []string{
			"0s find", "0s signal 7", "0s signal 8", "100ms find", "1s signal 7", "1s signal 8", "2m0.1s ready? 7",
		},
	}, {
		"D2: changes within MIN_INTERVAL merge, the last is delivered", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			for i := range byte(5) {
				time.Sleep(100 * ms)
				s.shows(2 + i)
			}
			time.Sleep(time.Minute)
		}, []string{
			"0s find", "0s signal 7", "100ms find", "200ms find", "300ms find", "400ms find", "500ms find", "1s signal 7",
		},
	}, {
		"D2: what is pending waits for a change to be whole", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(100 * ms)
			s.shows(2)
			time.Sleep(800 * ms)
			s.settling.Store(true) // and at 1 s the signal would be due
			time.Sleep(300 * ms)
			s.settling.Store(false)
			s.shows(3)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "100ms find", "1.2s signal 7", "1.2s find"},
	}, {
		"D2: what was there before a change that came to nothing is still told", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(100 * ms)
			s.shows(2)
			time.Sleep(800 * ms)
			s.settling.Store(true)
			time.Sleep(300 * ms)
			s.settling.Store(false)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "100ms find", "1.2s signal 7", "1.2s find"},
	}, {
		"D2: a failed send does not start MIN_INTERVAL", func(s *stage) {
			s.have(target(7))
			s.refuse = func(*signal.Target) error {
				if time.Since(s.began) < 250*ms {
					return syscall.EAGAIN
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "300ms signal 7"},
	}, {
		"D3: without a target the search slows down to one in 5 s", func(s *stage) {
			s.shows(1)
			time.Sleep(23 * time.Second)
		}, []string{
			"0s find", "100ms find", "300ms find", "700ms find", "1.5s find", "3.1s find", "6.3s find", "11.3s find", "16.3s find", "21.3s find",
		},
	}, {
		"D3: newer content replaces what is pending, and is tried at once", func(s *stage) {
			s.have(target(7))
			s.refuse = func(*signal.Target) error {
				if time.Since(s.began) < 90*time.Second {
					return syscall.EPERM
				}
				return nil
			}
			s.shows(1)
			time.Sleep(91 * time.Second) // the next attempt for this one is at 102.3 s
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "1m31s signal 7", "1m31s find"},
	}, {
		"D4: what started 20 ms after the change has read it", func(s *stage) {
			old, doubtful, young := target(7), target(8), target(9)
			doubtful.Started = changedAt + 10*ms
			young.Started = changedAt + 20*ms
			s.have(old, doubtful, young)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "0s signal 8"},
	}, {
		"D5: one that is not ready blocks no other", func(s *stage) {
			s.have(target(7), target(8))
			s.refuse = func(target *signal.Target) error {
				if target.PID == 7 && time.Since(s.began) < 100*ms {
					return &signal.NotReadyError{Why: "it has only just started", Retry: 100 * ms}
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 8", "100ms signal 7"},
	}, {
		"D6: a known target is signalled before others are looked for", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.have(s.targets[0], target(8))
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "1m0s signal 7", "1m0s find", "1m0s signal 8"},
	}, {
		"a target that has ended is looked for, and its successor judged by its own start", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(time.Minute)
			s.refuse = func(target *signal.Target) error {
				if target.PID == 7 {
					return signal.ErrGone
				}
				return nil
			}
			s.have(target(8))
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "1m0.02s find", "1m0.02s signal 8"},
	}, {
		"a reload held back is tried again, ever more slowly", func(s *stage) {
			s.have(target(7))
			s.refuse = func(*signal.Target) error {
				s.note("held")
				if time.Since(s.began) < 2*time.Second {
					return &signal.NotReadyError{Why: "it has no handler"}
				}
				return nil
			}
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{
			"0s find", "0s held", "20ms held", "60ms held", "140ms held", "300ms held", "620ms held", "1.26s held", "2.26s held", "2.26s signal 7",
		},
	}, {
		"W1: nothing is sent while the files are gone", func(s *stage) {
			s.have(target(7))
			s.shows(1)
			time.Sleep(100 * ms)
			s.shows(2)
			time.Sleep(100 * ms)
			s.fails(2, fs.ErrNotExist)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"0s find", "0s signal 7", "100ms find", "1m0.2s signal 7", "1m0.2s find"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			got, log := play(t, 0, test.act)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, log)
			}
		})
	}
}

// What goes on for 30 s is a warning, once; what does not resolve itself is one at once.
func TestDeliveryWarns(t *testing.T) {
	for _, test := range []struct {
		name   string
		act    func(*stage)
		after  time.Duration
		before time.Duration // it has not been said then; 0: it is said at once
		want   string
	}{{
		"D3: no target", func(s *stage) { s.shows(1) }, 36 * time.Second, 30 * time.Second,
		`level=WARN msg="no matching process, retrying" file=/v process=web tries=12 err="no matching process: none is there"`,
	}, {
		"G1: not ready", func(s *stage) {
			s.have(target(7))
			s.refuse = func(*signal.Target) error { return &signal.NotReadyError{Why: "web (pid 7) ignores HUP"} }
			s.shows(1)
		}, 32 * time.Second, 30 * time.Second,
		`level=WARN msg="reload held back, retrying" file=/v process=web pid=7 tries=36 err="web (pid 7) ignores HUP"`,
	}, {
		"S1: not permitted", func(s *stage) {
			s.have(target(7))
			s.refuse = func(*signal.Target) error { return syscall.EPERM }
			s.shows(1)
		}, 4 * time.Minute, 0,
		`level=WARN msg="reload failed, retrying" file=/v process=web pid=7 tries=1 err="operation not permitted"`,
	}, {
		"W1: a file is gone", func(s *stage) { s.shows(1); s.fails(1, fs.ErrNotExist) }, 4 * time.Minute, 29 * time.Second,
		`level=WARN msg="watched files unreadable; signals suspended: mount or restore them" file=/v process=web tries=1 err="file does not exist"`,
	}, {
		"S5: a file cannot be read", func(s *stage) { s.fails(1, fs.ErrPermission) }, 4 * time.Minute, 0,
		`level=WARN msg="watched files unreadable; signals suspended: mount or restore them" file=/v process=web tries=1 err="permission denied"`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			_, log := play(t, 0, func(s *stage) {
				test.act(s)
				time.Sleep(test.before)
				synctest.Wait()
				if early := strings.Contains(s.log.String(), test.want); early != (test.before == 0) {
					t.Errorf("said after %v: %t:\n%s", test.before, early, s.log.String())
				}
				time.Sleep(test.after - test.before)
			})
			if n := strings.Count(log, test.want); n != 1 {
				t.Errorf("said %d times, want once:\n%s\nin:\n%s", n, test.want, log)
			}
		})
	}
}

// A warning that lasts is said again, ever less often.
func TestDeliveryWarnsAgain(t *testing.T) {
	_, log := play(t, 0, func(s *stage) {
		s.have(target(7))
		s.refuse = func(*signal.Target) error { return syscall.EPERM }
		s.shows(1)
		time.Sleep(4 * time.Hour)
	})
	var got []string
	for line := range strings.Lines(log) {
		if at, rest, ok := strings.Cut(line, "Z level=WARN"); ok && strings.Contains(rest, "retrying") {
			got = append(got, strings.TrimPrefix(at, "time=2000-01-01T")[:5])
		}
	}
	want := []string{"00:00", "00:05", "00:15", "00:35", "01:15", "02:15", "03:15"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warned at (-want +got):\n%s\n%s", diff, log)
	}
}
