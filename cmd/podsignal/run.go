package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

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
	f := signal.NewFinder(signal.Options{
		Name:    cfg.process,
		Cmdline: cfg.cmdline,
		Files:   cfg.files,
		Grace:   cfg.startGrace,
		Log:     log,
	})
	snapshots := make(chan watcher.Snapshot)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.Run(ctx, snapshots) })
	group.Go(func() error { return newDelivery(cfg, w, f, log).run(ctx, snapshots) })
	return group.Wait()
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

func newLog(out io.Writer, cfg config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.logLevel}
	if cfg.logJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
