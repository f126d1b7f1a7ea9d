// Command podsignal is a sidecar that signals a program when its mounted
// ConfigMap or Secret changes, so that the program reloads in place.
//
// It is configured by the environment: FILE, PROCESS, SIGNAL and those that
// podsignal --help lists. It exits with 0 on SIGTERM or SIGINT, with 2 when its
// configuration cannot be used, and with 1 when it cannot go on.
//
// podsignal check reports whether it would work, and exits with 1 when not.
//
// podsignal inject adds podsignal to Kubernetes manifests; see package inject.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	frugal()
	// Whoever reads the log may go away: that must not end the reloads.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	log := newLogWriter(os.Stderr)
	err := run(ctx, os.Args[1:], os.Stdout, log)
	flushWithin := faultWithin
	if ctx.Err() != nil {
		flushWithin = endWithin - leaveWithin
	}
	stop()
	if err != nil && !errors.Is(err, errWouldNotWork) { // the report has told that
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(log, "podsignal:", strings.TrimSuffix(line, "\n"))
		}
	}
	log.end(flushWithin)
	_, ofConfig := errors.AsType[configError](err)
	switch {
	case ofConfig:
		os.Exit(2)
	case err != nil:
		os.Exit(1)
	}
}

const (
	// endWithin is how long podsignal may take to end after SIGTERM.
	endWithin = 100 * time.Millisecond

	// leaveWithin is what of that all goroutines get; the rest is for the log.
	leaveWithin = 60 * time.Millisecond

	// faultWithin is how long writing down a fault that ends podsignal may take.
	faultWithin = time.Second
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
