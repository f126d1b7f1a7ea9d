package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// relisten is how long to wait before a port that was taken is tried again.
	relisten = 10 * time.Second

	// answerWithin is how long the delivery loop may take to answer. It is busy for
	// some milliseconds at most, unless it is stuck.
	answerWithin = 3 * time.Second

	// endWithin is what requests that are being answered get when podsignal ends.
	endWithin = 50 * time.Millisecond
)

// listen serves the pages at address until ctx is done, and then returns nil. That
// it cannot listen is said, and tried again: podsignal is there to signal.
func listen(ctx context.Context, cfg config, asked chan<- chan<- *status, log *slog.Logger) error {
	handler := pages(
		func(ctx context.Context) (*status, error) { return ask(ctx, asked) },
		func(ctx context.Context) (*report, error) { return examine(ctx, cfg) },
	)
	level := slog.LevelError
	for ctx.Err() == nil {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.listen)
		if err == nil {
			log.Info("listening", "address", listener.Addr().String())
			level = slog.LevelError
			err = serve(ctx, listener, handler, log)
		}
		if err != nil && ctx.Err() == nil {
			log.Log(ctx, level, "cannot listen, trying again; signals are sent all the same: set LISTEN to an address that is free", "every", relisten, "err", err)
			level = slog.LevelDebug // said once
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
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // those that took too long
	}
	return nil
}

// ask asks the delivery loop for its status. That it answers shows that it turns.
func ask(ctx context.Context, asked chan<- chan<- *status) (*status, error) {
	answer := make(chan *status, 1)
	select {
	case asked <- answer:
		return <-answer, nil
	case <-ctx.Done():
		return nil, errors.New("podsignal is ending")
	case <-time.After(answerWithin):
		return nil, fmt.Errorf("the delivery loop is stuck: it has not answered for %v", answerWithin)
	}
}

// pages are what is served, to be read only. Each asks for the status, so that none
// of them shows what was once true while the loop is stuck.
func pages(
	ask func(context.Context) (*status, error),
	examine func(context.Context) (*report, error),
) http.Handler {
	mux := http.NewServeMux()
	page := func(path string, show func(http.ResponseWriter, *http.Request, *status)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			s, err := ask(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			show(w, r, s)
		})
	}
	page("/healthz", func(w http.ResponseWriter, _ *http.Request, _ *status) {
		fmt.Fprintln(w, "ok")
	})
	page("/readyz", func(w http.ResponseWriter, _ *http.Request, s *status) {
		if err := s.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	page("/status", func(w http.ResponseWriter, r *http.Request, s *status) {
		found, err := examine(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s.add(found)
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(s) // whoever asked has gone away
	})
	page("/metrics", func(w http.ResponseWriter, _ *http.Request, s *status) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(s.metrics()) // whoever asked has gone away
	})
	return mux
}
