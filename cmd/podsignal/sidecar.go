package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/hold"
	"github.com/podsignal/podsignal/cmd/internal/logging"
	"github.com/podsignal/podsignal/cmd/internal/notify"
	"github.com/podsignal/podsignal/cmd/internal/serve"
	"github.com/podsignal/podsignal/cmd/internal/status"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// sidecar does what podsignal is there for, until it is asked to end or cannot go on.
func sidecar(asked context.Context, out *logging.Writer) error {
	var cfg config.Config
	err := interruptible(asked, func() (err error) { cfg, err = config.Load(); return err })
	switch {
	case asked.Err() != nil:
		return nil //nolint:nilerr // it was asked to end
	case err != nil:
		limited, cancel := context.WithTimeout(asked, failWithin)
		defer cancel()
		_ = interruptible(limited, func() error { logging.TerminationMessage(err); return nil })
		return configError{err}
	}
	log := logging.New(out, cfg.LogLevel, cfg.LogJSON)
	for _, typo := range cfg.Typos {
		log.Warn("unknown variable: fix its name if it is misspelled", "variable", typo.Name, "likely", typo.Likely)
	}
	group, ctx := errgroup.WithContext(asked)
	pages := serve.Options{Examine: func() ([]*check.Report, error) { return check.Examine(ctx, cfg) }}
	var outside deliver.Outside
	if cfg.Notify != nil {
		notifier := notify.New(*cfg.Notify, log)
		outside.Notify, pages.Notifications = notifier.Post, notifier.Counts
		group.Go(func() error { return notifier.Run(ctx) })
	}
	var shared *watcher.Inotify // an instance of its own is a little faster
	holds := slices.ContainsFunc(cfg.Rules, func(r config.Rule) bool { return r.Hold != "" })
	if len(cfg.Rules) > 1 || holds {
		shared = new(watcher.Inotify)
	}
	for _, rule := range cfg.Rules {
		log := log
		if rule.Name != "" {
			log = log.With("rule", rule.Name)
		}
		if fix := rule.WrongSignal(); fix != "" {
			log.Warn("program does not reload on SIGNAL, as far as is known", "process", rule.Process, "signal", signal.Name(rule.Signal), "fix", fix)
		}
		log.Info("starting podsignal", append([]any{"version", build.Version}, rule.LogAttrs()...)...)
		outside.Publish = publisher(log)
		w := watcher.New(rule.WatcherOptions(shared, log))
		loop := deliver.New(rule, w, signal.NewFinder(rule.FinderOptions(log)), outside, log)
		pages.Status = append(pages.Status, loop.Status)
		snapshots := make(chan watcher.Snapshot)
		group.Go(func() error { check.WarnOfSubPaths(rule.Files.Paths, log); return nil }) // the files may hang
		group.Go(func() error { return w.Run(ctx, snapshots) })
		group.Go(func() error { return loop.Run(ctx, snapshots) })
		if rule.Hold != "" {
			group.Go(func() error {
				return hold.Follow(ctx, hold.Settings{Path: rule.Hold, Resync: rule.Files.Resync, Inotify: shared}, loop.Approvals())
			})
		}
	}
	if cfg.Listen != "" {
		group.Go(func() error { return serve.Run(ctx, cfg.Listen, pages, log) })
	}
	err = interruptible(ctx, group.Wait)
	if asked.Err() != nil {
		log.Info("stopping")
		return nil
	}
	if errors.Is(err, errLeft) {
		return context.Cause(ctx) // the first error
	}
	return err
}

// publisher has podsignal status see a rule's status; nil: it cannot.
func publisher(log *slog.Logger) func(*deliver.Status, time.Time) {
	board, err := status.NewBoard()
	if err != nil {
		log.Debug("podsignal status cannot read the status here", "err", err)
		return nil
	}
	return func(s *deliver.Status, due time.Time) {
		if err := board.Show(s, due); err != nil {
			log.Debug("podsignal status cannot read the status here", "err", err)
		}
	}
}
