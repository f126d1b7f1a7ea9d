package serve

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/check"
)

// All who ask at a time, and for a second after it, share one examination.
func TestExaminationsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var begun []time.Duration
		e := newExaminer(func() ([]*check.Report, error) {
			begun = append(begun, time.Since(began)) // a second one at a time would be a race
			time.Sleep(2 * time.Second)
			return []*check.Report{{Visible: len(begun)}}, nil
		})
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				at := time.Duration(i) * 30 * ms
				time.Sleep(at)
				found, err := e.find(t.Context())
				want := 1 + int(at/(3*time.Second)) // 2 s of an examination, 1 s of its finds
				if err != nil || len(found) != 1 || found[0].Visible != want {
					t.Errorf("asked after %v: %v, %v, want those of examination %d", at, found, err, want)
				}
			})
		}
		all.Wait()
		if want := []time.Duration{0, 3 * time.Second}; !slices.Equal(begun, want) {
			t.Errorf("examinations began after %v, want %v", begun, want)
		}
	})
}

// What took long to be found is shown for a second, too.
func TestLongExamination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExaminer(func() ([]*check.Report, error) {
			time.Sleep(findWithin - ms)
			return nil, nil
		})
		for range 100 {
			if _, err := e.find(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(9 * ms)
		}
	})
}

// One that does not end is waited for by nobody for long, and no other begins.
func TestExaminationHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs, free := 0, make(chan struct{})
		e := newExaminer(func() ([]*check.Report, error) {
			runs++
			<-free
			return nil, errors.New("after all")
		})
		for _, want := range []time.Duration{findWithin, 0} {
			asked := time.Now()
			if _, err := e.find(t.Context()); err == nil || time.Since(asked) != want {
				t.Errorf("%v after %v, want an error after %v", err, time.Since(asked), want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if _, err := e.find(ctx); err == nil {
			t.Error("no error for one who has gone away")
		}
		close(free)
		synctest.Wait()
		if _, err := e.find(t.Context()); err == nil || err.Error() != "after all" || runs != 1 {
			t.Errorf("%v by the end of %d examinations", err, runs)
		}
	})
}
