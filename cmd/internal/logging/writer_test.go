package logging

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/logtest"
)

const ms = time.Millisecond

// A stalled pipe is one that nobody reads until read is called.
type stalledPipe struct {
	reader chan struct{}
	logtest.Buffer
}

func (p *stalledPipe) Write(line []byte) (int, error) {
	<-p.reader
	return p.Buffer.Write(line)
}

func (p *stalledPipe) read() { close(p.reader) }

// newStalled is a log on such a pipe.
func newStalled() (*stalledPipe, *Writer) {
	p := &stalledPipe{reader: make(chan struct{})}
	w := NewWriter(p)
	w.reportBy(func(out io.Writer, dropped int) { fmt.Fprintf(out, "dropped %d\n", dropped) })
	return p, w
}

// lineOf is a line of 1 KiB.
func lineOf(i int) string { return fmt.Sprintf("%-1023d\n", i) }

// What waits for a reader is bound in bytes. What was dropped is reported once, where it is
// missing, and nothing is lost from then on.
func TestLogWithoutReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe, log := newStalled()
		for i := range 100 {
			if n, err := io.WriteString(log, lineOf(i)); n != 1024 || err != nil {
				t.Fatalf("line %d: %d, %v", i, n, err)
			}
			synctest.Wait()
		}
		pipe.read()
		synctest.Wait()
		var want strings.Builder
		for i := range 64 {
			want.WriteString(lineOf(i))
		}
		want.WriteString("dropped 36\n")
		for i := range 1000 {
			fmt.Fprintf(log, "and %d\n", i)
			fmt.Fprintf(&want, "and %d\n", i)
			synctest.Wait()
		}
		log.End(time.Second)
		if got := pipe.String(); got != want.String() {
			t.Errorf("the log is\n%s", got)
		}
	})
}

// While it has not been told how many were dropped, none is let through: it would stand
// before their count.
func TestLogOfSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow logtest.Buffer
		next := make(chan struct{})
		log := NewWriter(writerFunc(func(line []byte) (int, error) {
			<-next
			return slow.Write(line)
		}))
		log.reportBy(func(out io.Writer, dropped int) { fmt.Fprintf(out, "dropped %d\n", dropped) })
		for i := range 66 {
			fmt.Fprint(log, lineOf(i))
		}
		var want strings.Builder
		for i := range 64 {
			next <- struct{}{}
			synctest.Wait()
			fmt.Fprintln(log, "later") // there is room
			want.WriteString(lineOf(i))
		}
		close(next)
		log.End(time.Second)
		want.WriteString("dropped 65\nlater\n") // the last one came after all had been written
		if got := slow.String(); got != want.String() {
			t.Errorf("the log is\n%s", got)
		}
	})
}

// A line that is longer than what may wait is written if nothing else waits.
func TestLongLine(t *testing.T) {
	var out logtest.Buffer
	log := NewWriter(&out)
	line := strings.Repeat("x", 2*room) + "\n"
	fmt.Fprint(log, line)
	log.End(20 * time.Second)
	if out.String() != line {
		t.Errorf("%d bytes of %d", len(out.String()), len(line))
	}
}

// What has been logged is written before the end, but a reader that never comes does not
// keep podsignal from ending.
func TestLogEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logtest.Buffer
		log := NewWriter(&out)
		for i := range 20 {
			fmt.Fprintln(log, i)
		}
		log.End(time.Second)
		if got := strings.Count(out.String(), "\n"); got != 20 {
			t.Errorf("%d lines of 20 after the end", got)
		}

		pipe, log := newStalled()
		fmt.Fprintln(log, "never read")
		began := time.Now()
		log.End(50 * ms)
		if took := time.Since(began); took != 50*ms {
			t.Errorf("waited for %v, want 50ms", took)
		}
		fmt.Fprintln(log, "after the end")
		pipe.read()
		synctest.Wait()
		if got := pipe.String(); got != "never read\n" {
			t.Errorf("the log is %q", got)
		}
	})
}

// The lines of several goroutines stay whole, and none is lost.
func TestLogOfMany(t *testing.T) {
	var out logtest.Buffer
	log := NewWriter(&out)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				fmt.Fprintf(log, "%d %d\n", i, j)
			}
		})
	}
	all.Wait()
	log.End(20 * time.Second)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	slices.Sort(lines)
	if lines = slices.Compact(lines); len(lines) != 400 {
		t.Errorf("%d different lines, want 400", len(lines))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
