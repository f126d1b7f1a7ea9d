//go:build soak

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// reloadTimeout is RELOAD_TIMEOUT. An answer that takes half of it is no failure yet.
const reloadTimeout = time.Second

// minInterval is MIN_INTERVAL.
const minInterval = 100 * time.Millisecond

// urlFaults are what the URL may do instead of accepting a call, or before.
var urlFaults = []string{"refuses", "hangs", "closes", "is slow"}

// A server is what the URL leads to. It notes what it loads, as other targets do.
type server struct {
	dir      string
	watched  []string
	notes    string        // the file
	faults   chan string   // of the next calls
	busy     chan struct{} // full while a call is answered
	accepted time.Time     // the last call was
	caller   string        // of it
}

// serve starts the server of a rule, and makes it the rule's target.
func (s *soak) serve(r *rule) {
	notes, err := os.Create(s.path("calls"))
	check(s.t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(s.t, err)
	s.server = &server{
		dir: s.dir, watched: r.watched, notes: notes.Name(),
		faults: make(chan string, 100), busy: make(chan struct{}, 1),
	}
	web := &http.Server{Handler: s.server}
	go func() { _ = web.Serve(listener) }() // until it is closed
	s.t.Cleanup(func() { _ = web.Close() })
	s.url = "http://" + listener.Addr().String() + "/reload"
	r.targets = []*target{{rule: r, tail: tail{file: notes}}}
	s.server.note("ready", "")
}

func (v *server) note(what, more string) { note(v.notes, time.Now(), what, more) }

// ServeHTTP answers a call.
func (v *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := r.URL.Query().Get("start")
	wrong := func(what string) {
		misdirect(v.dir, time.Now(), what, fmt.Sprintf("%s %s", r.Method, r.URL))
	}
	select {
	case v.busy <- struct{}{}:
		defer func() { <-v.busy }()
	case <-time.After(reloadTimeout / 2): // a server learns late that a caller has given up
		wrong("a call beside another")
	}
	if r.Method != http.MethodPost || r.URL.Path != "/reload" {
		wrong("another call")
	}
	if caller == v.caller && time.Since(v.accepted) < minInterval {
		wrong("a call within MIN_INTERVAL")
	}
	var fault string
	select {
	case fault = <-v.faults:
		if fault != "is slow" {
			// It may have loaded some of the files or all: nobody knows.
			v.note("failed", fault)
		}
	default:
	}
	switch fault {
	case "refuses":
		http.Error(w, "no", http.StatusInternalServerError)
		return
	case "closes":
		panic(http.ErrAbortHandler)
	case "hangs":
		<-r.Context().Done()
		return
	}
	v.note("reload", view(v.dir, v.watched))
	if fault == "is slow" {
		select {
		case <-r.Context().Done():
		case <-time.After(reloadTimeout / 2):
		}
	}
	v.accepted, v.caller = time.Now(), caller
}

// urlFails has the next calls fail, and something to call for.
func (s *soak) urlFails() {
	if len(s.server.faults) > 0 {
		return // in a row they would be tried ever later
	}
	var faults []string
	for range 1 + s.IntN(3) {
		faults = append(faults, urlFaults[s.IntN(len(urlFaults))])
	}
	s.note("the URL %s", strings.Join(faults, ", "))
	for _, fault := range faults {
		s.server.faults <- fault
	}
	for range s.IntN(3) {
		s.swap(s.volume())
		s.rest(time.Duration(s.IntN(300)) * time.Millisecond)
	}
	s.back()
}
