// Command podsignal is a sidecar that signals a program when its mounted
// ConfigMap or Secret changes, so that the program reloads in place.
//
// It is configured by the environment: FILE, PROCESS, SIGNAL and those that
// podsignal --help lists. It exits with 0 on SIGTERM or SIGINT, with 2 when its
// configuration cannot be used, and with 1 when it cannot go on.
//
// podsignal check reports whether it would work, and exits with 1 when not.
//
// podsignal status prints what a running podsignal knows of its targets, and exits with 1 when
// they are not in sync, and with 3 when no podsignal runs in this container.
//
// podsignal send notifies the program now, without a change, and exits with 1 when that has failed.
//
// podsignal inject adds podsignal to Kubernetes manifests; see package inject.
//
// podsignal install copies podsignal into a folder, for another container to run.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/inject"
	"github.com/podsignal/podsignal/cmd/internal/install"
	"github.com/podsignal/podsignal/cmd/internal/logging"
	"github.com/podsignal/podsignal/cmd/internal/memory"
	"github.com/podsignal/podsignal/cmd/internal/send"
	"github.com/podsignal/podsignal/cmd/internal/status"
)

func main() {
	memory.TuneRuntime()
	// Whoever reads the log may go away: that must not end the reloads. (To ignore the signal
	// would have the commands of VALIDATE ignore it too.)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	log := logging.NewWriter(os.Stderr)
	err := run(ctx, os.Args[1:], os.Stdout, log)
	flushWithin := failWithin
	if ctx.Err() != nil {
		flushWithin = endWithin - leaveWithin
	}
	stop()
	told := errors.Is(err, check.ErrWouldNotWork) || errors.Is(err, status.ErrNotInSync) || errors.Is(err, send.ErrFailed)
	if err != nil && !told {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(log, "podsignal:", strings.TrimSuffix(line, "\n"))
		}
	}
	log.End(flushWithin)
	_, ofConfig := errors.AsType[configError](err)
	switch {
	case ofConfig:
		os.Exit(2)
	case errors.Is(err, status.ErrNoSidecar):
		os.Exit(3)
	case err != nil:
		os.Exit(1)
	}
}

// configError is an error of the command line or of the environment.
type configError struct{ error }

// run is the whole program, until ctx is done.
func run(ctx context.Context, args []string, stdout io.Writer, log *logging.Writer) error {
	if len(args) == 0 {
		return sidecar(ctx, log)
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
	case "status":
		return runStatus(ctx, rest, stdout)
	case "send":
		return runSend(ctx, rest, stdout)
	case "install":
		return runInstall(rest, stdout)
	case "inject":
		return runInject(ctx, rest, os.Stdin, stdout, os.Stderr)
	case "version", "--version", "-version", "-v":
		if len(rest) == 0 {
			_, err := fmt.Fprintln(stdout, build.Describe("podsignal"))
			return err
		}
	}
	return configError{fmt.Errorf("unknown arguments %q: use podsignal check, status, send, inject, install, help or version, or none, with which podsignal is configured by the environment", strings.Join(args, " "))}
}

func isHelp(arg string) bool {
	return slices.Contains([]string{"help", "--help", "-help", "-h"}, arg)
}

//go:embed usage.txt
var usageHead string

// usage prints what --help does: the commands, and the table of the variables.
func usage(out io.Writer) error {
	if _, err := io.WriteString(out, usageHead); err != nil {
		return err
	}
	return config.PrintVariables(out)
}

// runCheck is podsignal check. A file system that hangs blocks it.
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
	return interruptible(ctx, func() error {
		cfg, err := config.Load()
		if err != nil {
			return configError{err}
		}
		return check.Run(ctx, cfg, stdout, asJSON)
	})
}

// runStatus is podsignal status.
func runStatus(ctx context.Context, args []string, stdout io.Writer) error {
	const waitFor = "--wait-for"
	switch {
	case len(args) == 0:
		return status.Run(stdout, false)
	case len(args) == 1 && isHelp(args[0]):
		return usage(stdout)
	case len(args) == 1 && args[0] == "--json":
		return status.Run(stdout, true)
	case len(args) == 1 && strings.HasPrefix(args[0], waitFor+"="):
		args = []string{waitFor, strings.TrimPrefix(args[0], waitFor+"=")}
	}
	if len(args) == 2 && args[0] == waitFor {
		wait, err := status.ParseWait(args[1])
		if err != nil {
			return configError{fmt.Errorf("%s: %w", waitFor, err)}
		}
		return wait.Run(ctx, stdout)
	}
	return configError{fmt.Errorf("unknown arguments %q: use podsignal status, with --json or --wait-for DIGEST, or with neither", "status "+strings.Join(args, " "))}
}

// runSend is podsignal send. A file system that hangs blocks it.
func runSend(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 1 && isHelp(args[0]) {
		return usage(stdout)
	}
	err := interruptible(ctx, func() error { return send.Run(ctx, args, stdout) })
	if _, ok := errors.AsType[send.UsageError](err); ok {
		return configError{err}
	}
	return err
}

// runInstall is podsignal install.
func runInstall(args []string, stdout io.Writer) error {
	switch {
	case len(args) == 1 && isHelp(args[0]):
		return usage(stdout)
	case len(args) != 1 || args[0] == "":
		return configError{errors.New("podsignal install takes the folder to install podsignal into: use podsignal install DIR")}
	}
	return install.Run(args[0], stdout)
}

// runInject is podsignal inject. Reading may wait for ever, in a terminal for one.
func runInject(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	err := interruptible(ctx, func() error { return inject.Run(args, build.Version, stdin, stdout, stderr) })
	if _, ok := errors.AsType[inject.UsageError](err); ok {
		return configError{err}
	}
	return err
}

const (
	// endWithin is how long podsignal may take to end after SIGTERM.
	endWithin = 100 * time.Millisecond

	// leaveWithin is what of that all goroutines get; the rest is for the log.
	leaveWithin = 60 * time.Millisecond

	// failWithin is how long writing down an error that ends podsignal may take.
	failWithin = time.Second
)

// errLeft is what has become of a call that was left behind.
var errLeft = errors.New("interrupted")

// interruptible returns what f returns. Once ctx is done it waits for leaveWithin at most, and
// then leaves f behind: a look at a file system that hangs, for one, may never return,
// and what is left behind ends with the process.
func interruptible(ctx context.Context, f func() error) error {
	returned := make(chan error, 1)
	go func() { returned <- f() }()
	select {
	case err := <-returned:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-returned:
		return err
	case <-time.After(leaveWithin):
		return errLeft
	}
}
