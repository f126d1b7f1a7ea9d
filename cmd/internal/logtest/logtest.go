// Package logtest has what tests of a log share.
package logtest

import (
	"bytes"
	"sync"
)

// A Buffer can be read while it is written to.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to it.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
