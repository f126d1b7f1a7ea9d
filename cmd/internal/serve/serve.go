// Package serve answers HTTP at LISTEN: metrics, probes and the status.
package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
)

const (
	// relisten is how long to wait before a port that was taken is tried again.
	relisten = 10 * time.Second

	// CloseWithin is what requests that are being answered get when podsignal ends.
	CloseWithin = 50 * time.Millisecond
)

// Options say what the pages tell of.
type Options struct {
	// Status asks each rule's delivery loop for its status.
	Status []func(context.Context) (*deliver.Status, error)

	// Examine makes the reports of podsignal check, one for each rule.
	Examine func() ([]*check.Report, error)

	// Notifications counts those sent, failed for good and dropped; nil: none are sent.
	Notifications func() (sent, failed, dropped uint64)
}

// Run serves the pages at address until ctx is done, and then returns nil. That it cannot
// listen is logged, and tried again: podsignal is there to signal.
func Run(ctx context.Context, address string, opts Options, log *slog.Logger) error {
	handler := newPages(opts).handler()
	level := slog.LevelError
	for ctx.Err() == nil {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			log.Info("listening", "address", listener.Addr().String())
			level = slog.LevelError
			err = serve(ctx, listener, handler, log)
		}
		if err != nil && ctx.Err() == nil {
			log.Log(ctx, level, "cannot bind LISTEN, retrying; signals are unaffected: set it to a free address", "every", relisten, "err", err)
			level = slog.LevelDebug // logged once
		}
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
	return nil
}

// serve returns nil when ctx is done, and an error before.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	door := newDoor(ctx, listener, connsFor(descriptors()))
	server := &http.Server{
		Handler:           door.queue(handler),
		ConnState:         door.note,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(door) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), CloseWithin)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // those that took too long
	}
	return nil
}
