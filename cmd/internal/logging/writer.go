package logging

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// room is how many bytes of the log may wait for a reader.
const room = 64 << 10

// A Writer takes the lines of the log, each by one call of Write, which never blocks.
// A goroutine of its own writes them to out, in their order. That may block for ever:
// out is a pipe, and its reader a container runtime whose disk is full. A line for which
// there is no room is dropped and counted, and so are those after it until all that waits
// has been written: the count then stands where the lines are missing.
//
// A mutex and not a channel, which would be bound in lines and not in bytes.
type Writer struct {
	out  io.Writer
	more chan struct{} // there may be something to do
	done chan struct{} // closed after End, when all is written

	mu      sync.Mutex
	waiting []byte // whole lines, the one that is being written among them
	dropped int    // lines
	ended   bool
	report  func(out io.Writer, dropped int) // nil: it is not reported
}

// NewWriter writes to out.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, more: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// reportBy has the number of dropped lines reported in this way from here on.
func (w *Writer) reportBy(report func(out io.Writer, dropped int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report = report
}

// Write takes a line with its end, and always succeeds.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	full := len(w.waiting) > 0 && len(w.waiting)+len(line) > room
	switch {
	case w.ended:
	case full || w.dropped > 0:
		w.dropped++
	default:
		w.waiting = append(w.waiting, line...)
		w.wake()
	}
	return len(line), nil
}

// End waits until all is written, for so long at most. What is logged after it is lost.
func (w *Writer) End(within time.Duration) {
	w.mu.Lock()
	w.ended = true
	w.wake()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(within):
	}
}

func (w *Writer) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	for {
		line, report, ended := w.next()
		switch {
		case line != nil:
			// Line by line, for others may write to the same pipe. If that fails, whoever read
			// it has gone away, and what comes next is tried all the same.
			_, _ = w.out.Write(line)
			w.written(len(line))
		case report != nil:
			report()
		case ended:
			return
		default:
			<-w.more
		}
	}
}

// next is what to do next: to write a line, or to report those that were dropped.
func (w *Writer) next() (line []byte, report func(), ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) > 0 {
		line, _, _ := bytes.Cut(w.waiting, []byte{'\n'})
		return w.waiting[:min(len(line)+1, len(w.waiting))], nil, false
	}
	dropped, how := w.dropped, w.report
	w.dropped = 0
	if dropped > 0 && how != nil {
		return nil, func() { how(w.out, dropped) }, false
	}
	return nil, nil, w.ended
}

// written makes room again.
func (w *Writer) written(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = w.waiting[n:]
	if len(w.waiting) == 0 {
		w.waiting = nil
	}
}
