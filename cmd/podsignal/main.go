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
)

func main() {
	frugal()
	// Whoever reads the log may go away: that must not end the reloads.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err == nil {
		return
	}
	if !errors.Is(err, errWouldNotWork) { // the report has told that
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(os.Stderr, "podsignal:", strings.TrimSuffix(line, "\n"))
		}
	}
	if _, ok := errors.AsType[configError](err); ok {
		os.Exit(2)
	}
	os.Exit(1)
}
