package main

import (
	"context"
	"io"
	"testing"
)

// waitingReader is an input that nobody writes to: it tells when it is read.
type waitingReader struct{ asked context.CancelFunc }

func (r waitingReader) Read([]byte) (int, error) {
	r.asked()
	select {}
}

// In a terminal, podsignal inject waits for input until it is ended.
func TestInjectIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := runInject(ctx, nil, waitingReader{cancel}, io.Discard, io.Discard)
	if err == nil || err.Error() != "interrupted" {
		t.Errorf("error %v, want interrupted", err)
	}
}
