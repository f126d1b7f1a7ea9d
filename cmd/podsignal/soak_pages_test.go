//go:build soak

package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A logPipe brings podsignal's log to a file, unless it is stalled.
type logPipe struct {
	reader  *os.File
	reading sync.Mutex
	stalled bool          // reading is locked by the soak
	done    chan struct{} // closed when podsignal has ended, and all is in the file
}

// newLogPipe returns one that writes to a file, and podsignal's end of it.
func (s *soak) newLogPipe(name string) (*logPipe, *os.File) {
	reader, writer, err := os.Pipe()
	check(s.t, err)
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	check(s.t, err)
	p := &logPipe{reader: reader, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer reader.Close()
		defer file.Close()
		buf := make([]byte, 4<<10)
		for {
			n, err := reader.Read(buf)
			p.reading.Lock()
			_, _ = file.Write(buf[:n]) // what is missing there would be noticed
			p.reading.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p, writer
}

func (p *logPipe) stall() {
	p.reading.Lock()
	p.stalled = true
}

func (p *logPipe) resume() {
	if p.stalled {
		p.stalled = false
		p.reading.Unlock()
	}
}

// logStalls has nobody read the log until logResumes, or to the end of podsignal.
func (s *soak) logStalls() {
	log := s.sidecar.log
	if log.stalled {
		s.logResumes()
		return
	}
	s.sidecar.listens(s)
	if s.IntN(2) == 0 {
		conn, err := log.reader.SyscallConn()
		check(s.t, err)
		check(s.t, conn.Control(func(fd uintptr) {
			// As little as it may hold. If it holds more just now, it stays as it is.
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, os.Getpagesize())
		}))
	}
	log.stall()
}

// logResumes has the log read again, which must then tell of all that follows.
func (s *soak) logResumes() {
	s.sidecar.log.resume()
	s.quiet()
}

// A page is what podsignal says at /status.
type page struct {
	Rules []struct {
		Rule    string
		OnDisk  digest `json:"on_disk"`
		Targets []struct {
			PID       int
			Delivered digest
			Pending   string
		}
	}
}

type digest struct{ Digest string }

// done tells whether each target, and nothing else, is listed, and runs what there is.
func (p page) done(s *soak) bool {
	for i, r := range s.rules {
		shown := p.Rules[i]
		if shown.OnDisk.Digest == "" || len(shown.Targets) != len(r.targets) {
			return false
		}
		for _, t := range shown.Targets {
			ours := slices.ContainsFunc(r.targets, func(known *target) bool { return known.pid() == t.PID })
			if !ours || t.Delivered != shown.OnDisk || t.Pending != "" {
				return false
			}
		}
	}
	return true
}

// lists tells whether a process is a target.
func (p page) lists(pid int) bool {
	for _, r := range p.Rules {
		for _, t := range r.Targets {
			if t.PID == pid {
				return true
			}
		}
	}
	return false
}

func (p *sidecar) status(s *soak) (shown page) {
	var body []byte
	s.await("/status answers", func() (ok bool) {
		var code int
		code, body = p.get(s, "/status")
		return code == http.StatusOK // where a disk stalls for 5 s, the examination is late
	})
	if err := json.Unmarshal(body, &shown); err != nil || len(shown.Rules) != len(s.rules) {
		s.fail("/status: %v\n%s", err, body)
	}
	return shown
}

// listens waits until podsignal does.
func (p *sidecar) listens(s *soak) {
	s.await("podsignal listens", func() bool { p.read(s); return p.address != "" })
}

// get asks on a connection of its own, of which podsignal keeps nothing.
func (p *sidecar) get(s *soak, path string) (code int, body []byte) {
	p.listens(s)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soakDeadline}
	response, err := client.Get("http://" + p.address + path)
	if err == nil {
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if err != nil {
		s.fail("%s: %v", path, err)
	}
	return response.StatusCode, body
}

// clients ask for podsignal's pages until they are to leave.
type clients struct {
	leave   chan struct{}
	left    sync.WaitGroup
	asked   atomic.Int64
	mistake atomic.Pointer[string] // in an answer
}

// clientsCome has 5 to 20 clients ask in a loop until the next quiet point.
func (s *soak) clientsCome() {
	if s.clients != nil {
		return
	}
	s.sidecar.listens(s)
	c := &clients{leave: make(chan struct{})}
	s.clients = c
	address, keep, n := s.sidecar.address, s.IntN(2) == 0, 5+s.IntN(16)
	s.note("%d clients, connections are kept: %v", n, keep)
	for i := range n {
		path := []string{"/status", "/metrics", "/readyz"}[i%3]
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: !keep}, Timeout: soakDeadline}
		c.left.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-c.leave:
					return
				case <-time.After(5 * time.Millisecond):
				}
				c.ask(&client, "http://"+address+path)
			}
		})
	}
}

// ask takes any answer, or none: podsignal may end, be stopped, or refuse one too many.
func (c *clients) ask(client *http.Client, url string) {
	response, err := client.Get(url)
	if err != nil {
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	c.asked.Add(1)
	if code := response.StatusCode; err == nil && code != http.StatusOK && code != http.StatusServiceUnavailable {
		mistake := fmt.Sprintf("%s: %d\n%s", url, code, body)
		c.mistake.Store(&mistake)
	}
}

func (s *soak) clientsLeave() {
	c := s.clients
	if c == nil {
		return
	}
	s.clients = nil
	close(c.leave)
	c.left.Wait()
	s.requests += int(c.asked.Load())
	if mistake := c.mistake.Load(); mistake != nil {
		s.fail("%s", *mistake)
	}
}
