package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// listen takes in signals' arrivals until there are enough, or for some time.
func (p *pod) listen(within time.Duration, enough func() bool) error {
	within = max(within, time.Millisecond) // what has come is not read after the deadline
	if err := p.pipe.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	const stamp = 8
	buf := make([]byte, 512*stamp) // stamps are written whole (pipe(7))
	for !enough() {
		n, err := p.pipe.Read(buf)
		for b := range slices.Chunk(buf[:n], stamp) {
			p.arrivals = append(p.arrivals, int64(binary.NativeEndian.Uint64(b)))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: the targets have ended: %w", p.name, err)
		}
	}
	return nil
}

// rest listens for some time.
func (p *pod) rest(d time.Duration) error {
	return p.listen(d, func() bool { return false })
}

// calm listens until no signal has come for so long, and the contestant has slept
// through most of that: podsignal looks for new targets after the signal. It gives up
// at the end.
func (p *pod) calm(quiet time.Duration, end time.Time) error {
	for {
		signals := len(p.arrivals)
		before, err := cpuOf(p.sidecar.Process.Pid)
		if err := errors.Join(err, p.rest(quiet)); err != nil {
			return err
		}
		after, err := cpuOf(p.sidecar.Process.Pid)
		if err != nil {
			return err
		}
		if len(p.arrivals) == signals && after-before < quiet/5 || time.Now().After(end) {
			return nil
		}
	}
}

// answered tells whether each target has had a signal since.
func (p *pod) answered(since int64) bool {
	n := 0
	for _, at := range p.arrivals {
		if at >= since {
			n++
		}
	}
	return n >= len(p.targets)
}

// swap swaps one of the volumes and waits until all targets are signalled.
func (p *pod) swap() error {
	s, err := p.volumes[len(p.swaps)%len(p.volumes)].swap()
	if err != nil {
		return err
	}
	p.swaps = append(p.swaps, s)
	within := brief
	if p.reliable {
		within = patience
	}
	return p.listen(within, func() bool { return p.answered(s.renaming) })
}

// begin forgets what was, for what is measured from here on.
func (p *pod) begin() (err error) {
	p.swaps, p.arrivals, p.spending = nil, nil, spending{}
	p.at, err = p.usage()
	p.last = p.at
	return err
}

// sample notes what the last swap has taken.
func (p *pod) sample() error {
	now, err := p.usage()
	p.spent = append(p.spent, now.cpu-p.last.cpu)
	p.most = max(p.most, now.anon)
	p.last = now
	return err
}

func (p *pod) usage() (usage, error) { return usageOf(p.sidecar.Process.Pid) }
