package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConns is how many connections there are at a time: each costs some 20 KiB.
	maxConns = 32

	// maxSilence is how long a connection may be without a request when others wait.
	maxSilence = 100 * time.Millisecond

	// pageEvery is the least time from the beginning of a page to that of the next:
	// clients that ask in a loop are not to keep the delivery loop from the processor.
	pageEvery = 5 * time.Millisecond
)

// A door lets in so many connections that podsignal has the memory for them, and so many
// requests that it has time for its work. The others wait. Where there are too many, those
// that ask nothing make room, and none is kept after its answer: so a probe gets in, whoever
// holds connections.
type door struct {
	net.Listener
	max    int
	closed <-chan struct{}
	room   chan struct{} // there may be some
	turn   chan struct{} // for the next page

	mu    sync.Mutex
	conns map[net.Conn]time.Time // since when each has been silent; zero: it is being answered
}

func newDoor(ctx context.Context, listener net.Listener, maxConns int) *door {
	d := &door{
		Listener: listener,
		max:      maxConns,
		closed:   ctx.Done(),
		room:     make(chan struct{}, 1),
		turn:     make(chan struct{}, 1),
		conns:    make(map[net.Conn]time.Time),
	}
	d.turn <- struct{}{}
	return d
}

// connsFor is how many connections there may be with so many file descriptors: fewer than
// maxConns where podsignal would have too few left for its work.
func connsFor(descriptors uint64) int {
	return int(max(1, min(maxConns, descriptors/4)))
}

// descriptors is how many file descriptors there may be.
func descriptors() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 4 * maxConns // it has no reason to fail
	}
	return limit.Cur
}

// Accept waits for a connection, and for room for it.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		again, ok := d.enter(conn)
		if ok {
			return conn, nil
		}
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-d.room:
		case <-d.closed:
			timer.Stop()
			conn.Close()
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
}

// enter lets a connection in, if need be for the one that has been silent for longest. If
// none has been for long enough, it returns when to try again.
func (d *door) enter(conn net.Conn) (again time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.conns) >= d.max {
		var longest net.Conn
		for other, since := range d.conns {
			if !since.IsZero() && (longest == nil || since.Before(d.conns[longest])) {
				longest = other
			}
		}
		if longest == nil {
			return time.Hour, false // room will tell
		}
		if silence := time.Since(d.conns[longest]); silence < maxSilence {
			return maxSilence - silence, false
		}
		longest.Close()
		delete(d.conns, longest)
	}
	d.conns[conn] = time.Now()
	return 0, true
}

// note is http.Server's ConnState. A connection is active from when a whole request has
// been read.
func (d *door) note(conn net.Conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.conns[conn]; !ok {
		return // it has made room
	}
	switch state {
	case http.StateActive:
		d.conns[conn] = time.Time{}
		return
	case http.StateIdle:
		d.conns[conn] = time.Now()
	case http.StateClosed:
		delete(d.conns, conn)
	default:
		return
	}
	select {
	case d.room <- struct{}{}:
	default:
	}
}

func (d *door) crowded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns) >= d.max
}

// queue has the requests answered one after the other, not too fast.
func (d *door) queue(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-d.turn:
			// However long the page takes: it may have to wait for a loop that is stuck.
			time.AfterFunc(pageEvery, func() { d.turn <- struct{}{} })
		case <-r.Context().Done():
			return
		}
		if d.crowded() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}
