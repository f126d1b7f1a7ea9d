package signal

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a look at a target ends with: a signal, or a part of the reason for none.
const (
	sent      = ""
	noHandler = "has no handler for"
	ignored   = "ignores"
	blocked   = "blocks"
	young     = "has only just started"
	pidOne    = "is PID 1 of its namespace"
)

// look asks the target to be signalled at a time, and wants the outcome and the
// time until the next try.
type look struct {
	at    time.Duration
	state func(p *proc, bit uint64)
	want  string
	retry time.Duration
}

// What a target does about the signal.
func nothing(p *proc, _ uint64)           { p.caught, p.ignored, p.blocked, p.others = 0, 0, 0, nil }
func catches(p *proc, bit uint64)         { nothing(p, bit); p.caught = bit }
func ignores(p *proc, bit uint64)         { nothing(p, bit); p.ignored = bit }
func blocks(p *proc, bit uint64)          { nothing(p, bit); p.blocked = bit }
func blocksElsewhere(p *proc, bit uint64) { nothing(p, bit); p.others = []uint64{0, bit, 0} }
func catchesBlocked(p *proc, bit uint64)  { nothing(p, bit); p.caught, p.blocked = bit, bit }
func catchesIgnored(p *proc, bit uint64)  { nothing(p, bit); p.caught, p.ignored = bit, bit }
func ignoresBlocked(p *proc, bit uint64)  { nothing(p, bit); p.ignored, p.blocked = bit, bit }

func ignoresBlockedElsewhere(p *proc, bit uint64) { ignores(p, bit); p.others = []uint64{bit} }

// othersOnly does all of it, but about the signals next to the one in question.
func othersOnly(p *proc, bit uint64) {
	p.caught, p.ignored, p.blocked = bit<<1|bit>>1, bit<<1|bit>>1, bit<<1|bit>>1
	p.others = []uint64{^bit}
}

// try makes the looks and tells which one ends otherwise.
func try(t *testing.T, f *fake, target *Target, sig syscall.Signal, looks []look) {
	t.Helper()
	start := f.now
	for _, look := range looks {
		f.now = start + look.at
		p := f.procs[target.PID]
		look.state(p, mask(sig))
		p.got = nil
		err := target.Send(sig)
		if look.want == sent {
			if err != nil || len(p.got) != 1 || p.got[0] != sig {
				t.Errorf("at %v: %v, got %v; want it sent", look.at, err, p.got)
			}
			continue
		}
		var unready *NotReadyError
		if !errors.As(err, &unready) || !strings.Contains(err.Error(), look.want) || unready.Retry != look.retry {
			t.Errorf("at %v: %v (%+v); want %q and to try again in %v", look.at, err, unready, look.want, look.retry)
		}
		if p.got != nil {
			t.Errorf("at %v: got %v", look.at, p.got)
		}
	}
}

func TestG1(t *testing.T) {
	const ms = time.Millisecond
	for name, looks := range map[string][]look{
		"caught":                {{0, catches, sent, 0}, {1 * ms, catches, sent, 0}},
		"caught and blocked":    {{0, catchesBlocked, sent, 0}},
		"no handler":            {{0, nothing, noHandler, 0}, {time.Hour, nothing, noHandler, 0}},
		"handlers for others":   {{0, othersOnly, noHandler, 0}, {time.Hour, othersOnly, noHandler, 0}},
		"caught and ignored":    {{0, catchesIgnored, ignored, 0}},
		"ignored":               {{0, ignores, ignored, 0}, {time.Hour, ignores, ignored, 0}},
		"handler comes":         {{0, nothing, noHandler, 0}, {5 * ms, ignores, ignored, 0}, {9 * ms, catches, sent, 0}},
		"blocked":               {{0, blocks, blocked, 20 * ms}, {19 * ms, blocks, blocked, 1 * ms}, {20 * ms, blocks, sent, 0}},
		"blocked, next signal":  {{0, blocks, blocked, 20 * ms}, {time.Hour, blocks, sent, 0}, {time.Hour, blocks, sent, 0}},
		"blocked in a thread":   {{0, blocksElsewhere, blocked, 20 * ms}, {20 * ms, blocksElsewhere, sent, 0}},
		"blocked, then another": {{0, blocks, blocked, 20 * ms}, {20 * ms, blocksElsewhere, sent, 0}},
		"blocked and ignored":   {{0, ignoresBlocked, ignored, 0}, {time.Hour, ignoresBlocked, ignored, 0}},
		"start of HAProxy":      {{0, ignores, ignored, 0}, {50 * ms, ignoresBlocked, ignored, 0}, {90 * ms, catches, sent, 0}},
		"blocked by a fork":     {{0, blocks, blocked, 20 * ms}, {20 * ms, nothing, noHandler, 0}},
		"ignored, and blocked in a thread": {
			{0, ignoresBlockedElsewhere, ignored, 0},
			{time.Hour, ignoresBlockedElsewhere, ignored, 0},
		},
		"blocked by two forks": {
			{0, blocks, blocked, 20 * ms},
			{15 * ms, nothing, noHandler, 0},
			{25 * ms, blocks, blocked, 20 * ms},
			{40 * ms, blocks, blocked, 5 * ms},
			{45 * ms, blocks, sent, 0},
		},
		"blocked while it starts": {{0, blocks, blocked, 20 * ms}, {9 * ms, catches, sent, 0}},
		"re-exec of HAProxy": {
			{0, catches, sent, 0},
			{15 * ms, blocks, noHandler, 0},
			{50 * ms, blocks, noHandler, 0},
			{60 * ms, ignores, ignored, 0},
			{70 * ms, ignoresBlocked, ignored, 0},
			{90 * ms, catches, sent, 0},
		},
	} {
		for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, 64} {
			t.Run(name+", "+Name(sig), func(t *testing.T) {
				f := newFake(t, nginx(7))
				try(t, f, only(t, f.finder(Options{})), sig, looks)
			})
		}
	}
}

// TERM, INT and QUIT mean to end the process.
func TestG1SignalsThatEnd(t *testing.T) {
	const ms = time.Millisecond
	for name, looks := range map[string][]look{
		"caught":                  {{0, catches, sent, 0}},
		"no handler":              {{0, nothing, sent, 0}},
		"ignored":                 {{0, ignores, ignored, 0}, {time.Hour, ignores, ignored, 0}},
		"ignored and blocked":     {{0, ignoresBlocked, ignored, 0}, {time.Hour, ignoresBlocked, ignored, 0}},
		"ignored for a while":     {{0, ignores, ignored, 0}, {1 * ms, nothing, sent, 0}},
		"blocked":                 {{0, blocks, blocked, 20 * ms}, {20 * ms, blocks, sent, 0}},
		"blocked, caught earlier": {{0, catches, sent, 0}, {1 * ms, blocks, sent, 0}},
	} {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
			t.Run(name+", "+Name(sig), func(t *testing.T) {
				f := newFake(t, nginx(7))
				try(t, f, only(t, f.finder(Options{})), sig, looks)
			})
		}
	}
}

// The kernel drops what PID 1 of a namespace has no handler for.
func TestG1PIDOne(t *testing.T) {
	const ms = time.Millisecond
	for name, looks := range map[string][]look{
		"caught":                    {{0, catches, sent, 0}},
		"no handler":                {{0, nothing, pidOne, 0}, {time.Hour, nothing, pidOne, 0}},
		"blocked":                   {{0, blocks, blocked, 20 * ms}, {20 * ms, blocks, sent, 0}},
		"lost its handler by exec":  {{0, catches, sent, 0}, {1 * ms, blocks, pidOne, 0}, {2 * ms, nothing, pidOne, 0}},
		"blocks, and catches later": {{0, blocks, blocked, 20 * ms}, {5 * ms, catches, sent, 0}},
	} {
		for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGUSR2, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT} {
			t.Run(name+", "+Name(sig), func(t *testing.T) {
				p := nginx(7)
				p.innermost = 1
				f := newFake(t, p)
				try(t, f, only(t, f.finder(Options{})), sig, looks)
			})
		}
	}
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGTERM} {
		t.Run("ignored, "+Name(sig), func(t *testing.T) {
			p := nginx(1)
			f := newFake(t, p)
			try(t, f, only(t, f.finder(Options{})), sig, []look{{0, ignores, ignored, 0}})
		})
	}
}
