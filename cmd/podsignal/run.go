package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/podsignal/podsignal/cmd/podsignal/inject"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// Stamped by the linker.
var (
	version = "dev"
	commit  = "unknown"
)

// configError is a fault of the command line or of the environment.
type configError struct{ error }

// run is the whole program, until ctx is done.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	switch {
	case len(args) == 0:
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		return usage(stdout)
	case len(args) == 1 && args[0] == "--version":
		_, err := fmt.Fprintf(stdout, "podsignal %s (commit %s, %s, %s/%s)\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	case len(args) == 1 && args[0] == "check":
		return check(ctx, stdout, false)
	case len(args) == 2 && args[0] == "check" && args[1] == "--json":
		return check(ctx, stdout, true)
	case args[0] == "inject":
		return runInject(ctx, args[1:], os.Stdin, stdout, stderr)
	default:
		return configError{fmt.Errorf("unknown arguments %q: podsignal is configured by the environment, see podsignal --help", strings.Join(args, " "))}
	}

	cfg, err := loadConfig()
	if err != nil {
		terminationMessage(err)
		return configError{err}
	}
	log := newLog(stderr, cfg)
	log.Info("podsignal", "version", version, "file", strings.Join(cfg.files, ","), "process", cfg.process, "signal", signal.Name(cfg.signal))

	w := watcher.New(watcher.Options{
		Paths:    cfg.files,
		Debounce: cfg.debounce,
		Resync:   cfg.resync,
		Log:      log,
	})
	options := finderOptions(cfg)
	options.Log = log
	f := signal.NewFinder(options)
	warnOfSubPaths(cfg, log)
	snapshots := make(chan watcher.Snapshot)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.Run(ctx, snapshots) })
	d := newDelivery(cfg, w, f, log)
	if cfg.listen != "" {
		d.asked = make(chan chan<- *status)
		group.Go(func() error { return listen(ctx, cfg, d.asked, log) })
	}
	group.Go(func() error { return d.run(ctx, snapshots) })
	return group.Wait()
}

// runInject is podsignal inject. Reading may wait for ever, in a terminal for one, and
// is left behind when ctx is done.
func runInject(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	done := make(chan error, 1)
	go func() { done <- inject.Run(args, version, stdin, stdout, stderr) }()
	select {
	case <-ctx.Done():
		return errors.New("interrupted")
	case err := <-done:
		if _, ok := errors.AsType[inject.UsageError](err); ok {
			return configError{err}
		}
		return err
	}
}

// terminationMessage has kubectl describe pod show why the container has ended
// (terminationMessagePath in the Kubernetes API). Elsewhere there is no such file.
func terminationMessage(cause error) {
	f, err := os.OpenFile("/dev/termination-log", os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return
	}
	fmt.Fprintln(f, cause)
	f.Close()
}

// finderOptions say which processes are meant. They have no log.
func finderOptions(cfg config) signal.Options {
	return signal.Options{
		Name:    cfg.process,
		Cmdline: cfg.cmdline,
		Files:   cfg.files,
		Grace:   cfg.startGrace,
	}
}

// warnOfSubPaths tells of paths that can never change in this container.
func warnOfSubPaths(cfg config, log *slog.Logger) {
	for _, file := range cfg.files {
		on, below, err := signal.SubPaths(file)
		if err != nil {
			log.Debug("mounts cannot be read", "err", err)
			return
		}
		for _, s := range append(on, below...) {
			log.Warn("file is on a subPath mount: subPath mounts never receive updates; mount the folder",
				"file", file, "mount", s.Point, "stale", s.Stale)
		}
	}
}

func newLog(out io.Writer, cfg config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.logLevel}
	if cfg.logJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
