package main

import (
	"strings"
	"testing"

	"github.com/podsignal/podsignal/signal"
)

// The folder of FILE is there without a mount of its own, as the one that holds a
// subPath mount is: "/" is not where anybody would look.
func TestCheckFileInOwnFileSystem(t *testing.T) {
	var r report
	r.target(signal.Process{PID: 7, Name: "nginx", Mounts: []signal.Mounted{{Own: "/"}}})
	last := r.Findings[len(r.Findings)-1]
	if last.Level != levelWarn || last.About != "volume" || !strings.Contains(last.Text, "FILE is in podsignal's own file system") {
		t.Errorf("it says: %+v", last)
	}
}
