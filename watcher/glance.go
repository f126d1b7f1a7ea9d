package watcher

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Glance finds what the paths show now, for Opens, and returns the newest ctime of all that
// decides it. No file is opened: to another podsignal that would look like a program that reads
// its configuration. It is for a Watcher that does not run.
func (w *Watcher) Glance(ctx context.Context) (newest time.Time, err error) {
	table, err := readTable()
	if err != nil {
		return time.Time{}, err
	}
	w.singles.Store(&table.files)
	s := newScan(ctx, nil, w.opts.Exclude)
	s.glance, s.mounts = true, table
	var errs []error
	for _, path := range w.opts.Paths {
		if _, err := s.path(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	w.files.Store(s.realPaths())
	return s.newest, errors.Join(errs...)
}
