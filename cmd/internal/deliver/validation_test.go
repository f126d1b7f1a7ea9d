package deliver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// A checker is a command for VALIDATE that the test makes up.
type checker struct {
	mu      sync.Mutex
	takes   time.Duration
	rejects []byte // the first bytes of digests
}

// reject has it reject these digests, and no others.
func (c *checker) reject(digests ...byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejects = digests
}

// check is its run for a digest.
func (c *checker) check(ctx context.Context, digest byte) error {
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.rejects, digest) {
		return errors.New("exit status 1")
	}
	return nil
}

// validating is a rule with VALIDATE.
func validating() config.Rule {
	return config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: 5 * time.Second, Validate: []string{"check"}}
}

// playValidating runs a delivery with VALIDATE to a target that was signalled for 1. told is
// who was notified of what.
func playValidating(t *testing.T, rule config.Rule, act func(*stage, *checker)) (events []string, told, log string) {
	t.Helper()
	c := new(checker)
	var posts []string
	events, log = playAs(t, rule, func(s *stage) {
		s.have(target(7))
		s.shows(1)
		time.Sleep(time.Minute)
		act(s, c)
	}, func(s *stage, l *Loop) {
		l.env.validate = func(ctx context.Context) error {
			s.note("validate")
			err := c.check(ctx, byte(s.content.Load()))
			if ctx.Err() != nil {
				s.note("killed")
			}
			return err
		}
		l.env.notify = func(n notify.Notification) {
			if n.Outcome == verify.Invalid || n.Outcome == verify.Resolved {
				posts = append(posts, time.Since(s.began).String()+" "+string(n.Outcome)+" "+n.DigestBefore+">"+n.DigestAfter+" "+n.Cause)
			}
		}
	})
	return events, strings.TrimSpace(strings.Join(posts, ", ")), log
}

func TestValidation(t *testing.T) {
	start := []string{"0s find", "0s validate", "0s signal 7"}
	for _, test := range []struct {
		name string
		act  func(*stage, *checker)
		want []string // but for what follows from the start
	}{{
		"a change is validated before its signal, once", func(s *stage, c *checker) {
			c.takes = 2 * time.Second
			s.shows(2)
			time.Sleep(time.Minute)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m2s signal 7", "1m2s find", "2m0s find"},
	}, {
		"what is invalid is not sent, and validated again", func(s *stage, c *checker) {
			c.reject(2)
			s.shows(2)
			time.Sleep(time.Second)
		}, []string{"1m0s validate", "1m0s find", "1m0.1s validate", "1m0.3s validate", "1m0.7s validate"},
	}, {
		"for the cause may be temporary", func(s *stage, c *checker) {
			c.reject(2)
			s.shows(2)
			c.reject()
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m0s find", "1m0.1s validate", "1m0.1s signal 7"},
	}, {
		"newer content ends a validation, and is validated", func(s *stage, c *checker) {
			c.takes = 10 * time.Second
			s.shows(2)
			time.Sleep(4 * time.Second)
			s.shows(3)
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m4s killed", "1m4s validate", "1m14s signal 7", "1m14s find"},
	}, {
		"files that change and change back meanwhile void its result", func(s *stage, c *checker) {
			c.takes = 10 * time.Second
			s.shows(2)
			time.Sleep(4 * time.Second)
			s.stirs(2, time.Second)
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m4s killed", "1m4s validate", "1m14s signal 7", "1m14s find"},
	}, {
		"as do files that are changing when it ends", func(s *stage, c *checker) {
			c.takes = 10 * time.Second
			s.shows(2)
			time.Sleep(9900 * ms)
			s.settling.Store(true)
			time.Sleep(time.Second)
			s.settling.Store(false)
			c.takes = time.Second
			s.stirs(2, time.Second)
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m10.9s validate", "1m11.9s signal 7", "1m11.9s find"},
	}, {
		"a look at files that have not changed does not", func(s *stage, c *checker) {
			c.takes = 10 * time.Second
			s.shows(2)
			time.Sleep(4 * time.Second)
			s.shows(2)
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m10s signal 7", "1m10s find"},
	}, {
		"what the target runs need not be valid", func(s *stage, c *checker) {
			c.reject(1, 2)
			s.shows(2)
			time.Sleep(50 * ms)
			s.shows(1)
			time.Sleep(time.Minute)
		}, []string{"1m0s validate", "1m0s find", "1m0.05s find"},
	}, {
		"a change is validated although nobody is there", func(s *stage, c *checker) {
			s.have()
			s.shows(1) // has podsignal look
			c.reject(2)
			s.shows(2)
			time.Sleep(50 * ms)
		}, []string{"1m0s find", "1m0s validate", "1m0s find"},
	}, {
		"the end of podsignal is the end of a validation", func(s *stage, c *checker) {
			c.takes = time.Hour
			s.shows(2)
		}, []string{"1m0s validate", "1m0s killed"},
	}} {
		t.Run(test.name, func(t *testing.T) {
			events, _, log := playValidating(t, validating(), test.act)
			if diff := cmp.Diff(slices.Concat(start, test.want), events); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, log)
			}
		})
	}
}

// What was there at the start is validated only if somebody has to be notified of it: beside a
// program that starts, its validator might take its ports.
func TestValidationAtStart(t *testing.T) {
	events, _ := playAs(t, validating(), func(s *stage) {
		s.have(&signal.Target{PID: 7, Started: changedAt + time.Hour})
		s.shows(1)
		time.Sleep(time.Minute)
	}, func(s *stage, l *Loop) {
		l.env.validate = func(context.Context) error { s.note("validate"); return nil }
	})
	if diff := cmp.Diff([]string{"0s find"}, events); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What is invalid lasts, is told once, and is no failure of podsignal's.
func TestInvalidState(t *testing.T) {
	_, told, log := playValidating(t, validating(), func(s *stage, c *checker) {
		s.children.Store([]int{11})
		s.shows(2)
		time.Sleep(50 * ms)
		s.children.Store([]int{12})
		time.Sleep(time.Minute)
		c.reject(3)
		s.shows(3)
		time.Sleep(time.Hour)
		if diff := cmp.Diff("7 delivered 2 running 2 rejected -; rejected 3 invalid; last reload failed", s.state()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		st := s.status()
		if err := st.Ready(); err != nil || st.Pending != "exit status 1" || st.OutOfSync.IsZero() {
			t.Errorf("ready: %v, pending: %s, out of sync: %v", err, st.Pending, st.OutOfSync)
		}
		if n := st.Figures.Counts.Outcomes[verify.Invalid]; n != 1 {
			t.Errorf("%d times invalid, want 1", n)
		}
		s.shows(4)
		time.Sleep(50 * ms)
		s.children.Store([]int{13})
		time.Sleep(time.Minute)
		if diff := cmp.Diff("7 delivered 4 running 4 rejected -; rejected -; last reload successful", s.state()); diff != "" {
			t.Errorf("after a change that is valid (-want +got)\n%s", diff)
		}
	})
	if want := "2m0.05s invalid 020000000000>030000000000 exit status 1, 1h2m0.13s resolved >040000000000"; told != want {
		t.Errorf("told %s, want %s", told, want)
	}
	if n := strings.Count(log, `level=WARN msg="configuration invalid, not sent: fix it"`); n < 1 || n > 8 {
		t.Errorf("%d warnings in an hour, want 1 to 8:\n%s", n, log)
	}
}

// A program that is started again with what is invalid may not have read it yet, and end when it
// does.
func TestInvalidAtRestart(t *testing.T) {
	rule := validating()
	rule.StartGrace = time.Second
	playValidating(t, rule, func(s *stage, c *checker) {
		c.reject(2)
		s.shows(2)
		time.Sleep(time.Minute)
		s.have(&signal.Target{PID: 8, Started: uptime()})
		s.snapshots <- watcher.Snapshot{Digest: [32]byte{2}, Changed: uptime() - time.Hour}
		if diff := cmp.Diff("8 delivered 2 running - rejected -; rejected 2 invalid; last reload failed", s.state()); diff != "" {
			t.Errorf("at its start (-want +got)\n%s", diff)
		}
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff("8 delivered 2 running 2 rejected -; rejected -; last reload successful", s.state()); diff != "" {
			t.Errorf("2 s later (-want +got)\n%s", diff)
		}
	})
}
