package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serveTest serves a page until the test ends, and notes at most how many connections are
// open at a time.
func serveTest(t *testing.T, handler http.HandlerFunc) (address string, most *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingListener{Listener: listener}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- serve(ctx, counted, handler, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), &counted.most
}

type countingListener struct {
	net.Listener
	open, most atomic.Int64
}

type countedConn struct {
	net.Conn
	once sync.Once
	gone func()
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.most.Store(max(l.most.Load(), l.open.Add(1)))
	return &countedConn{Conn: conn, gone: func() { l.open.Add(-1) }}, nil
}

func (c *countedConn) Close() error {
	c.once.Do(c.gone)
	return c.Conn.Close()
}

// dial opens a connection that is closed at the end of the test.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// askPage sends a request, and returns whether the connection is to be kept.
func askPage(conn net.Conn) (kept bool, err error) {
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		return false, err
	}
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return !response.Close, err
}

// All of many that ask at once are answered, with no more connections open than there may be.
func TestManyConnections(t *testing.T) {
	address, most := serveTest(t, func(http.ResponseWriter, *http.Request) {})
	var all sync.WaitGroup
	for range 300 {
		conn := dial(t, address)
		all.Go(func() {
			if _, err := askPage(conn); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	// One is waiting for room.
	if n := most.Load(); n > maxConns+1 {
		t.Errorf("%d connections open at a time, want at most %d", n, maxConns+1)
	}
}

// A probe gets in, whoever holds all connections: with nothing sent, with a part of a
// request, after an answer, or asking for one after the other.
func TestProbeAmongHeldConnections(t *testing.T) {
	for name, hold := range map[string]func(net.Conn){
		"silent":         func(net.Conn) {},
		"half a request": func(conn net.Conn) { fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost:") },
		"answered":       func(conn net.Conn) { _, _ = askPage(conn) },
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := serveTest(t, func(http.ResponseWriter, *http.Request) {})
			for range 3 * maxConns {
				hold(dial(t, address))
			}
			began := time.Now()
			if _, err := askPage(dial(t, address)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 4*time.Second { // less than a timeout of the server
				t.Errorf("answered after %v", took)
			}
		})
	}
	t.Run("asking on", func(t *testing.T) {
		address, _ := serveTest(t, func(http.ResponseWriter, *http.Request) {})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		for range 2 * maxConns {
			conn := dial(t, address)
			all.Go(func() {
				for kept := true; kept && ctx.Err() == nil; {
					kept, _ = askPage(conn)
				}
			})
		}
		if _, err := askPage(dial(t, address)); err != nil {
			t.Fatal(err)
		}
	})
}

// A connection makes room when it is closed, or has been silent for long enough: the one
// that has been so for longest. While it is being answered, it does not.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting := make(waitingConns)
		ctx, cancel := context.WithCancel(t.Context())
		door := newDoor(ctx, waiting, maxConns)
		var inside []net.Conn
		var all, closed []net.Conn
		accept := func() {
			conn, _ := net.Pipe()
			conn = &countedConn{Conn: conn, gone: func() { closed = append(closed, conn) }}
			all = append(all, conn)
			waiting <- conn
			synctest.Wait()
		}
		var last error
		go func() {
			for last == nil {
				var conn net.Conn
				if conn, last = door.Accept(); last == nil {
					inside = append(inside, conn)
				}
			}
		}()
		check := func(when string, in, out int) {
			t.Helper()
			synctest.Wait()
			if len(inside) != in || len(closed) != out {
				t.Errorf("%s: %d have got in, and %d were closed for them; want %d and %d", when, len(inside), len(closed), in, out)
			}
		}
		for i := range maxConns {
			accept()
			door.note(all[i], http.StateActive)
		}
		accept()
		time.Sleep(time.Hour)
		check("all are being answered", maxConns, 0)

		door.note(all[0], http.StateIdle)
		time.Sleep(maxSilence - 1)
		check("one has been silent for less than maxSilence", maxConns, 0)
		door.note(all[1], http.StateIdle)
		time.Sleep(time.Nanosecond)
		check("one has been silent for maxSilence", maxConns+1, 1)
		if !slices.Contains(closed, all[0]) {
			t.Error("it was not the one that had been silent for longest")
		}
		door.note(all[0], http.StateClosed) // of which it hears later
		door.note(all[2], http.StateClosed)
		accept()
		check("one was closed", maxConns+2, 1)
		accept()
		check("all are in again", maxConns+2, 1)
		cancel()
		check("at the end", maxConns+2, 2)
		if last == nil {
			t.Error("no error after the end")
		}
	})
}

// waitingConns are those that a listener accepts.
type waitingConns chan net.Conn

func (c waitingConns) Accept() (net.Conn, error) { return <-c, nil }
func (c waitingConns) Close() error              { return nil }
func (c waitingConns) Addr() net.Addr            { return nil }

// Pages are not answered faster than that podsignal has time for its work.
func TestPagesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := newDoor(t.Context(), nil, maxConns)
		handler := door.queue(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) }))
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) })
		}
		all.Wait()
		if took, want := time.Since(began), time.Hour+99*pageEvery; took != want {
			t.Errorf("100 pages that take 1h took %v, want %v", took, want)
		}
		// Who goes away does not take a turn.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		<-door.turn
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	})
}

func TestConnsFor(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: 1, 20: 5, 127: 31, 1024: maxConns, 1 << 63: maxConns} {
		if got := connsFor(descriptors); got != want {
			t.Errorf("%d connections with %d file descriptors, want %d", got, descriptors, want)
		}
	}
}
