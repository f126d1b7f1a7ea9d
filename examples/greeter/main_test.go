package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestServe walks through a life: start, reload, a reload that fails, the end.
// The channel of signals has no room, so that a send returns only when the loop
// is idle again: two of them in a row are a reload that is over.
func TestServe(t *testing.T) {
	config := filepath.Join(t.TempDir(), "greeting")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	write := func(greeting string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(greeting), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hello")

	hup := make(chan os.Signal)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, hup, listener, config) }()

	reload := func() {
		t.Helper()
		for range 2 {
			select {
			case hup <- syscall.SIGHUP:
			case err := <-ended:
				t.Fatalf("ended early: %v", err)
			}
		}
	}
	want := func(when, greeting string) {
		t.Helper()
		if got := get(t, "http://"+listener.Addr().String()); got != greeting {
			t.Errorf("%s: served %q, want %q", when, got, greeting)
		}
	}

	want("at the start", "hello")
	write("bonjour")
	want("before the signal", "hello")
	reload()
	want("after the signal", "bonjour")
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	reload()
	want("after a reload without a file", "bonjour")

	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still serving 10 s after the end was asked for")
	}
}

func TestServeWithoutConfig(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), nil, listener, filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("serve returned no error for a config that does not exist")
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
