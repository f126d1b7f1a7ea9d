// Greeter is an example of a program that reloads on HUP: an HTTP server that
// answers with the content of a file.
//
//	CONFIG  the file (required); a key of a ConfigMap, by its path in the volume
//	LISTEN  the address to serve on, default 127.0.0.1:8080
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	// Before anything else: a Go program that has not asked for HUP dies of it.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, hup)
	stop()
	if err != nil {
		slog.Error("greeter ends", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, hup <-chan os.Signal) error {
	config, address := os.Getenv("CONFIG"), os.Getenv("LISTEN")
	if config == "" {
		return errors.New("CONFIG is not set: give the path of the file with the greeting")
	}
	if address == "" {
		address = "127.0.0.1:8080"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return serve(ctx, hup, listener, config)
}

// serve answers every request on listener with the content of config, reads it
// again for each hup, and returns when ctx is done. It closes listener.
func serve(ctx context.Context, hup <-chan os.Signal, listener net.Listener, config string) error {
	defer listener.Close()
	first, err := os.ReadFile(config)
	if err != nil {
		return err // nothing to serve yet; at a reload there is
	}
	var greeting atomic.Pointer[[]byte]
	greeting.Store(&first)

	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(*greeting.Load()) // fails only when the client is gone
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	slog.Info("serving", "address", listener.Addr(), "config", config)

	for {
		select {
		case <-hup:
			next, err := os.ReadFile(config)
			if err != nil {
				slog.Error("kept the old greeting", "err", err)
				continue
			}
			greeting.Store(&next)
			slog.Info("reloaded", "bytes", len(next))
		case err := <-ended:
			return err
		case <-ctx.Done():
			// Requests that are under way may finish; ctx itself is over.
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return server.Shutdown(grace)
		}
	}
}
