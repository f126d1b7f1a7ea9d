package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	// closeWithin is what requests that are being answered get when podsignal ends; it is
	// less than leaveWithin.
	closeWithin = 50 * time.Millisecond
)

// listen serves the pages at address until ctx is done, and then returns nil. That
// it cannot listen is said, and tried again: podsignal is there to signal.
func listen(ctx context.Context, cfg config, loops []loop, notes *notifier, log *slog.Logger) error {
	handler := pages(
		func(ctx context.Context) ([]*status, error) { return askAll(ctx, loops) },
		newExaminer(func() ([]*report, error) { return examineAll(ctx, cfg) }).find,
		notes,
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
	door := newDoor(ctx, listener)
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
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // those that took too long
	}
	return nil
}

// A loop is that of a rule's delivery, to be asked for its status.
type loop struct {
	rule  string
	asked chan<- chan<- *status
}

// askAll asks one after the other: each answers at once, unless it is stuck.
func askAll(ctx context.Context, loops []loop) (all []*status, err error) {
	for _, l := range loops {
		s, err := ask(ctx, l.asked)
		if err != nil {
			return nil, inRule(l.rule, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// inRule says of which rule an error is, where they have names.
func inRule(name string, err error) error {
	if name == "" {
		return err
	}
	return fmt.Errorf("rule %s: %w", name, err)
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
	ask func(context.Context) ([]*status, error),
	find func(context.Context) ([]*report, error), // of each rule
	notes *notifier, // nil: none are sent
) http.Handler {
	mux := http.NewServeMux()
	page := func(path string, show func(http.ResponseWriter, *http.Request, []*status)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			all, err := ask(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			show(w, r, all)
		})
	}
	page("/{$}", func(w http.ResponseWriter, _ *http.Request, _ []*status) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, index) // whoever asked has gone away
	})
	page("/healthz", func(w http.ResponseWriter, _ *http.Request, _ []*status) {
		fmt.Fprintln(w, "ok")
	})
	page("/readyz", func(w http.ResponseWriter, _ *http.Request, all []*status) {
		var errs []error
		for _, s := range all {
			if err := s.ready(); err != nil {
				errs = append(errs, inRule(s.Rule, err))
			}
		}
		if err := errors.Join(errs...); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	page("/status", func(w http.ResponseWriter, r *http.Request, all []*status) {
		found, err := find(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		for i, s := range all {
			s.add(found[i])
		}
		w.Header().Set("Content-Type", "application/json")
		_ = encode(w, document(all)) // whoever asked has gone away
	})
	page("/metrics", func(w http.ResponseWriter, _ *http.Request, all []*status) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(metrics(all, notes)) // whoever asked has gone away
	})
	return mux
}

// index is the page /.
const index = `<!DOCTYPE html>
<html lang="en">
<title>podsignal</title>
<h1>podsignal</h1>
<ul>
<li><a href="healthz">/healthz</a>: whether the delivery loop turns
<li><a href="readyz">/readyz</a>: whether the files and the targets are as they should be, and else why not
<li><a href="status">/status</a>: files, targets, what is pending, and what podsignal check finds
<li><a href="metrics">/metrics</a>: for Prometheus
</ul>
</html>
`

// document is the page /status: with RULES, a list.
func document(all []*status) any {
	if all[0].Rule == "" {
		all[0].Version = version
		return all[0]
	}
	return struct {
		Version string    `json:"version"`
		Rules   []*status `json:"rules"`
	}{version, all}
}
