package send

import (
	"context"
	"fmt"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/hold"
	"github.com/podsignal/podsignal/watcher"
)

// publishedWithin is how long after a change the sidecar may need until its status has it: the
// longest burst at the default of DEBOUNCE, a second until it is published, and as much again.
const publishedWithin = 5 * time.Second

// approved is an error if HOLD does not approve what is on disk, which the program would load, or
// that is not known.
func approved(ctx context.Context, rule config.Rule, w *watcher.Watcher) error {
	paths, err := onDisk(ctx, rule, w)
	if err != nil {
		return err
	}
	approvals := hold.Read(rule.Hold)
	if approvals.Err != nil {
		return approvals.Err
	}
	for _, p := range paths {
		if p.Digest != "" && approvals.Lacks(p.Digest) {
			return fmt.Errorf("%s does not have digest %s of %s", rule.Hold, p.Digest, p.Path)
		}
	}
	return nil
}

// onDisk are the digests of what is on disk. The sidecar knows them, when no change is younger than
// that takes; to read the files would look to it as if the program did. Without a sidecar, they are
// read.
func onDisk(ctx context.Context, rule config.Rule, w *watcher.Watcher) ([]deliver.PathStatus, error) {
	newest, err := w.Glance(ctx)
	if err != nil {
		return nil, err
	}
	if sidecarOf(rule) == nil {
		return read(ctx, rule)
	}
	if age := time.Since(newest); age < publishedWithin {
		select {
		case <-time.After(min(publishedWithin, publishedWithin-age)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s := sidecarOf(rule); s != nil && s.OnDisk != nil {
		return s.Paths, nil
	}
	return read(ctx, rule)
}

// read reads the files.
func read(ctx context.Context, rule config.Rule) ([]deliver.PathStatus, error) {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	looks := make(chan watcher.Snapshot)
	ended := make(chan error, 1)
	go func() { ended <- watcher.New(rule.WatcherOptions(nil, quiet)).Run(limited, looks) }()
	select {
	case look := <-looks:
		return deliver.PathsOf(rule.Files.Paths, look.Paths), look.Err
	case err := <-ended:
		return nil, err
	}
}
