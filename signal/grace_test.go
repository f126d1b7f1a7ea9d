package signal

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// goMask is what every Go program shows as caught, whatever it does with it.
const goMask = 0xfffffffd7fc1feff

func TestG2(t *testing.T) {
	const (
		s  = time.Second
		ms = time.Millisecond
	)
	hup := mask(unix.SIGHUP)
	for name, test := range map[string]struct {
		caught  uint64
		started time.Duration // before the look
		seen    time.Duration // first, before the look
		grace   time.Duration
		want    string
		retry   time.Duration
	}{
		"just started":                     {hup, 0, 0, s, young, s},
		"a tick too young":                 {hup, 990 * ms, 990 * ms, s, young, 10 * ms},
		"old enough":                       {hup, s, s, s, sent, 0},
		"old, first seen now":              {hup, s, 0, s, sent, 0},
		"no handler yet":                   {0, 0, 0, s, young, s},
		"no handler, old":                  {0, s, 0, s, noHandler, 0},
		"no grace":                         {hup, 0, 0, 0, sent, 0},
		"a longer one":                     {hup, s, s, 3 * s, young, 2 * s},
		"Go, just started":                 {goMask, 0, 0, s, young, s},
		"Go, old, first seen now":          {goMask, time.Hour, 0, s, young, s},
		"Go, old, seen for a while":        {goMask, time.Hour, 400 * ms, s, young, 600 * ms},
		"Go, old, seen long enough":        {goMask, time.Hour, s, s, sent, 0},
		"Go, no grace":                     {goMask, 0, 0, 0, sent, 0},
		"Go, but HUP is not caught":        {goMask &^ hup, time.Hour, 0, s, noHandler, 0},
		"C that catches all it can, no Go": {0x7ffbfeff, s, 0, s, sent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := nginx(7)
			p.caught, p.started = test.caught, time.Hour-test.started
			f := newFake(t, p)
			f.now = time.Hour - test.seen
			finder := f.finder(Options{Grace: test.grace})
			target := only(t, finder)
			f.now = time.Hour
			if again := only(t, finder); again != target { // nor does this start it anew
				t.Fatal("another target")
			}
			try(t, f, target, unix.SIGHUP, []look{{0, func(*proc, uint64) {}, test.want, test.retry}})
		})
	}
}

// To end a process in its first moments would end in a crash loop.
func TestG2AllSignals(t *testing.T) {
	p := nginx(7)
	p.started = time.Hour
	f := newFake(t, p)
	target := only(t, f.finder(Options{Grace: time.Second}))
	for _, sig := range []syscall.Signal{unix.SIGUSR1, unix.SIGTERM, unix.SIGQUIT, unix.SIGINT} {
		var unready *NotReadyError
		err := target.Send(sig)
		if !errors.As(err, &unready) || err.Error() != "nginx (pid 7) has only just started" || p.got != nil {
			t.Errorf("%s: %v, got %v", Name(sig), err, p.got)
		}
	}
}
