package deliver

import (
	"context"
	"encoding/hex"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/hold"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// showsPaths is a snapshot of one path with this digest.
func (s *stage) showsPaths(content byte) {
	s.content.Store(uint32(content))
	digest := [32]byte{content}
	s.snapshots <- watcher.Snapshot{Digest: digest, Paths: []watcher.PathDigest{{Digest: digest}}, Changed: changedAt}
	synctest.Wait()
}

// approves has HOLD's file have the digests of these contents.
func (s *stage) approves(contents ...byte) {
	var text strings.Builder
	for _, content := range contents {
		digest := [32]byte{content}
		text.WriteString(hex.EncodeToString(digest[:]) + "\n")
	}
	s.loop.Approvals() <- hold.Parse([]byte(text.String()))
	synctest.Wait()
}

func holdingRule() config.Rule {
	return config.Rule{Signal: syscall.SIGHUP, MinInterval: time.Second, Verify: 5 * time.Second, Hold: "/podinfo/approved"}
}

func TestHeld(t *testing.T) {
	// The target is older than the first content, of which it is told after 1 s.
	for _, test := range []struct {
		name string
		act  func(*stage)
		want []string // but for what follows from the start
	}{
		{"approved later", func(s *stage) {
			s.showsPaths(2)
			time.Sleep(time.Hour)
			s.approves(1, 2)
		}, []string{"1m1s find", "1h1m1s signal 7"}},
		{"approved before", func(s *stage) {
			s.approves(2)
			s.showsPaths(2)
		}, []string{"1m1s signal 7", "1m1s find"}},
		{"something else is approved", func(s *stage) {
			s.showsPaths(2)
			s.approves(3)
			time.Sleep(time.Minute)
			s.showsPaths(3)
		}, []string{"1m1s find", "2m1s signal 7", "2m1s find"}},
		{"back to what it runs, though that is not approved any more", func(s *stage) {
			s.showsPaths(2)
			s.approves()
			s.showsPaths(1)
			time.Sleep(time.Minute)
			s.approves(2)
		}, []string{"1m1s find", "1m1s find"}},
		{"what it may have misread it is told again, approved or not", func(s *stage) {
			s.approves(2)
			s.showsPaths(2)
			s.approves()
			s.snapshots <- watcher.Snapshot{Digest: [32]byte{2}, Paths: []watcher.PathDigest{{Digest: [32]byte{2}}}, Changed: changedAt, Stirred: time.Now()}
			time.Sleep(time.Minute)
		}, []string{"1m1s signal 7", "1m1s find", "1m1s find", "1m2s signal 7"}},
		{"an unreadable file approves nothing", func(s *stage) {
			s.approves(2)
			s.loop.Approvals() <- hold.Approvals{Err: os.ErrNotExist}
			s.showsPaths(2)
			time.Sleep(time.Minute)
		}, []string{"1m1s find"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := playAs(t, holdingRule(), func(s *stage) {
				s.have(target(7))
				s.showsPaths(1)
				time.Sleep(time.Second) // held, since HOLD has not been read
				s.approves(1)
				time.Sleep(time.Minute)
				test.act(s)
			})
			if diff := cmp.Diff(append([]string{"0s find", "1s signal 7"}, test.want...), got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHeldIsNoFailure: whatever was wrong before, nobody is alarmed by what is held.
func TestHeldIsNoFailure(t *testing.T) {
	var posts []verify.Outcome
	rule := holdingRule()
	_, log := playAs(t, rule, func(s *stage) {
		s.have(target(7))
		s.showsPaths(1)
		s.approves(1, 2)
		time.Sleep(time.Minute)
		s.refuse = func(*signal.Target) error { return syscall.EPERM }
		s.showsPaths(2) // which fails
		time.Sleep(50 * time.Second)
		s.showsPaths(3)
		time.Sleep(time.Hour)
		got := s.status()
		if err := got.Ready(); err != nil {
			t.Errorf("it is not ready: %v", err)
		}
		if problems := got.Problems(); problems != nil {
			t.Errorf("it has the problems %q", problems)
		}
		if got.Targets[0].Pending != "held" || got.Held.IsZero() || !got.Figures.Overdue.IsZero() || got.OutOfSync.IsZero() {
			t.Errorf("its status is %+v", got)
		}
		s.refuse = nil
		s.approves(3)
		if got := s.status(); !got.Held.IsZero() || got.Targets[0].Delivered.Digest != "030000000000" {
			t.Errorf("then its status is %+v", got)
		}
	}, func(_ *stage, l *Loop) {
		l.env.notify = func(n notify.Notification) { posts = append(posts, n.Outcome) }
	})
	for _, outcome := range posts {
		if outcome.Failed() {
			t.Errorf("posts: %q", posts)
		}
	}
	if !strings.Contains(log, "reason=approved") || strings.Count(log, "change held until it is approved") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// TestHeldBeforeValidated: the command of VALIDATE is run for what is approved alone.
func TestHeldBeforeValidated(t *testing.T) {
	rule := validating()
	rule.Hold = "/podinfo/approved"
	got, _ := playAs(t, rule, func(s *stage) {
		s.have(target(7))
		s.showsPaths(1)
		s.approves(1)
		time.Sleep(time.Minute)
		s.showsPaths(2)
		time.Sleep(time.Minute)
		s.approves(2)
		time.Sleep(time.Minute)
	}, func(s *stage, l *Loop) {
		l.env.validate = func(context.Context) error { s.note("validate"); return nil }
	})
	want := []string{"0s find", "0s validate", "0s signal 7", "1m0s find", "2m0s validate", "2m0s signal 7"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestHoldWarnings: a file that is missing is warned of once, until it was there again.
func TestHoldWarnings(t *testing.T) {
	_, log := playAs(t, holdingRule(), func(s *stage) {
		missing := hold.Approvals{Err: os.ErrNotExist}
		s.loop.Approvals() <- missing
		s.loop.Approvals() <- missing
		s.approves()
		s.loop.Approvals() <- missing
		s.loop.Approvals() <- hold.Parse([]byte("0123456789ab"))
		s.loop.Approvals() <- hold.Parse([]byte("Geheimnis"))
	})
	if n := strings.Count(log, "HOLD unreadable, all changes are held"); n != 2 {
		t.Errorf("%d warnings of the missing file, want 2:\n%s", n, log)
	}
	if strings.Contains(log, "Geheimnis") {
		t.Errorf("the log has what the file contains:\n%s", log)
	}
	if n := strings.Count(log, "line=1"); n != 1 {
		t.Errorf("%d warnings of the odd line, want 1:\n%s", n, log)
	}
}
