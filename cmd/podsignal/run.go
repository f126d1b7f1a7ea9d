package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/internal/inject"
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
func run(ctx context.Context, args []string, stdout io.Writer, log *logWriter) error {
	if len(args) == 0 {
		err := interruptible(ctx, func() error { return sidecar(ctx, log) })
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was asked to end
		}
		return err
	}
	command, rest := args[0], args[1:]
	if isHelp(command) {
		if len(rest) == 0 {
			return usage(stdout)
		}
		command, rest = rest[0], slices.Concat([]string{"--help"}, rest[1:])
	}
	switch command {
	case "check":
		return runCheck(ctx, rest, stdout)
	case "inject":
		return runInject(ctx, rest, os.Stdin, stdout, os.Stderr)
	case "version", "--version", "-version", "-v":
		if len(rest) == 0 {
			_, err := fmt.Fprintf(stdout, "podsignal %s (commit %s, %s, %s/%s)\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		}
	}
	return configError{fmt.Errorf("unknown arguments %q: use podsignal check, inject, help or version, or none, with which podsignal is configured by the environment", strings.Join(args, " "))}
}

func isHelp(arg string) bool {
	return slices.Contains([]string{"help", "--help", "-help", "-h"}, arg)
}

// runCheck is podsignal check. A file system that hangs holds it up.
func runCheck(ctx context.Context, args []string, stdout io.Writer) error {
	asJSON := false
	switch {
	case len(args) == 0:
	case len(args) == 1 && isHelp(args[0]):
		return usage(stdout)
	case len(args) == 1 && args[0] == "--json":
		asJSON = true
	default:
		return configError{fmt.Errorf("unknown arguments %q: use podsignal check, or podsignal check --json", "check "+strings.Join(args, " "))}
	}
	return interruptible(ctx, func() error { return check(ctx, stdout, asJSON) })
}

// sidecar does what podsignal is there for, until ctx is done or it cannot go on.
func sidecar(ctx context.Context, out *logWriter) error {
	cfg, err := loadConfig()
	if err != nil {
		limited, cancel := context.WithTimeout(ctx, faultWithin)
		defer cancel()
		_ = interruptible(limited, func() error { terminationMessage(err); return nil })
		return configError{err}
	}
	log := newLog(out, cfg)
	out.reportBy(func(out io.Writer, dropped int) { reportDropped(newLog(out, cfg), cfg.logLevel, dropped) })
	for _, doubt := range cfg.doubts {
		log.Warn("this is no variable of podsignal's: correct its name if it is misspelt", "variable", doubt.name, "likely", doubt.likely)
	}
	group, ctx := errgroup.WithContext(ctx)
	var notes *notifier
	if cfg.notifyURL != "" {
		notes = newNotifier(cfg.notifyURL, cfg.notifyCA, log)
		group.Go(func() error { return notes.run(ctx) })
	}
	var shared *watcher.Inotify // an instance of its own is a little faster
	if len(cfg.rules) > 1 {
		shared = new(watcher.Inotify)
	}
	var loops []loop
	for _, r := range cfg.rules {
		log := log
		if r.name != "" {
			log = log.With("rule", r.name)
		}
		w := watcher.New(watcherOptions(r, shared, log))
		d := newDelivery(r, w, signal.NewFinder(finderOptions(r, log)), log)
		if notes != nil {
			d.notify = func(n notice) {
				n.Pod, n.Namespace = cfg.pod, cfg.namespace
				notes.post(n)
			}
			d.notifyAll = cfg.notifyAll
		}
		if cfg.listen != "" {
			d.asked = make(chan chan<- *status)
			loops = append(loops, loop{r.name, d.asked})
		}
		r.introduce(log)
		snapshots := make(chan watcher.Snapshot)
		group.Go(func() error { r.warnOfSubPaths(log); return nil }) // the files may hang
		group.Go(func() error { return w.Run(ctx, snapshots) })
		group.Go(func() error { return d.run(ctx, snapshots) })
	}
	if cfg.listen != "" {
		group.Go(func() error { return listen(ctx, cfg, loops, notes, log) })
	}
	err = interruptible(ctx, group.Wait)
	if errors.Is(err, errLeft) {
		return context.Cause(ctx) // the first error, if there was one
	}
	return err
}

// runInject is podsignal inject. Reading may wait for ever, in a terminal for one.
func runInject(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	err := interruptible(ctx, func() error { return inject.Run(args, version, stdin, stdout, stderr) })
	if _, ok := errors.AsType[inject.UsageError](err); ok {
		return configError{err}
	}
	return err
}

// terminationMessage has kubectl describe pod show why the container has ended
// (terminationMessagePath in the Kubernetes API). Elsewhere there is no such file.
func terminationMessage(cause error) {
	// Without waiting for the reader of a FIFO.
	f, err := os.OpenFile("/dev/termination-log", os.O_WRONLY|os.O_TRUNC|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	fmt.Fprintln(f, cause)
	f.Close()
}

// introduce says what a rule is about.
func (r *rule) introduce(log *slog.Logger) {
	about := []any{"version", version, "file", strings.Join(r.files, ",")}
	if r.found {
		about = append(about, "found", len(r.files))
	}
	if len(r.exclude) > 0 {
		about = append(about, "exclude", strings.Join(r.exclude, ","))
	}
	if r.process != "" {
		about = append(about, "process", r.process)
	}
	log.Info("podsignal", append(about, r.action())...)
}

// watcherOptions say what to watch.
func watcherOptions(r rule, shared *watcher.Inotify, log *slog.Logger) watcher.Options {
	return watcher.Options{
		Paths:    r.files,
		Exclude:  r.exclude,
		Debounce: r.debounce,
		Resync:   r.resync,
		Inotify:  shared,
		Log:      log,
	}
}

// finderOptions say which processes are meant.
func finderOptions(r rule, log *slog.Logger) signal.Options {
	options := signal.Options{
		Name:    r.process,
		Cmdline: r.cmdline,
		Files:   r.files,
		Grace:   r.startGrace,
		Log:     log,
	}
	if r.reload == nil {
		options.Signal = r.signal
	}
	return options
}

// warnOfSubPaths tells of paths that can never change in this container, or not in every way.
func (r *rule) warnOfSubPaths(log *slog.Logger) {
	for _, file := range r.files {
		on, below, err := signal.SubPaths(file)
		if err != nil {
			log.Debug("mounts cannot be read", "err", err)
			return
		}
		for _, s := range append(on, below...) {
			switch s.Kind {
			case signal.KindSubPath:
				log.Warn("file is on a subPath mount: subPath mounts never receive updates; mount the folder",
					"file", file, "mount", s.Point, "stale", s.Stale)
			case signal.KindSingle:
				log.Warn("file is a single-file mount: a file that replaces it on the host will not be seen here; mount its folder",
					"file", file, "mount", s.Point, "stale", s.Stale)
			} // that a folder's mount is stale the watcher says
		}
	}
}

// reportDropped is a warning, or an error where no warnings are logged: then all that was
// dropped were errors.
func reportDropped(log *slog.Logger, least slog.Level, lines int) {
	log.Log(context.Background(), max(slog.LevelWarn, least), "log lines were dropped: nobody read them", "lines", lines)
}

func newLog(out io.Writer, cfg config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.logLevel}
	if cfg.logJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
