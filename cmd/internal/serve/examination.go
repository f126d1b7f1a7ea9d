package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/check"
)

const (
	// foundFor is how long what was found is shown to those who ask.
	foundFor = time.Second

	// findWithin is how long they wait for it.
	findWithin = 5 * time.Second
)

// An examination is one run of podsignal check, for all who ask meanwhile.
type examination struct {
	begun, ended time.Time
	done         chan struct{} // closed when what follows and ended are set
	found        []*check.Report
	err          error
}

// An examiner runs one examination at a time.
type examiner struct {
	examine func() ([]*check.Report, error)
	last    chan *examination // has always one, but for the moment in which it is looked at
}

func newExaminer(examine func() ([]*check.Report, error)) *examiner {
	e := &examiner{examine: examine, last: make(chan *examination, 1)}
	none := &examination{done: make(chan struct{})}
	close(none.done)
	e.last <- none
	return e
}

// find returns what the examination has found that is under way, or that has ended less
// than a second ago; else a new one begins. Nobody may change what it returns. Where a
// file system hangs, an examination may never end.
func (e *examiner) find(ctx context.Context) ([]*check.Report, error) {
	x := <-e.last
	if x.over() && time.Since(x.ended) >= foundFor {
		x = &examination{begun: time.Now(), done: make(chan struct{})}
		go func() {
			x.found, x.err = e.examine()
			x.ended = time.Now()
			close(x.done)
		}()
	}
	e.last <- x
	if !x.over() {
		late := time.NewTimer(findWithin - time.Since(x.begun))
		defer late.Stop()
		select {
		case <-x.done:
		case <-late.C:
			return nil, fmt.Errorf("podsignal check has not ended for %v: the file system that FILE is on may hang", findWithin)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return x.found, x.err
}

func (x *examination) over() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}
