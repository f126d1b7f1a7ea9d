package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"podsignal": main,
		"hog":       hog,
		"go-daemon": goDaemon,
	})
}

// The scripts in testdata are podsignal's behaviour as its users see it. Each is
// named after the clause of the contract that it holds; script_test.go has the
// commands that they are made of.
func TestScripts(t *testing.T) { runScripts(t, "testdata") }

// TestCrowd runs alone: thousands of processes slow down all who look at them.
func TestCrowd(t *testing.T) { runScripts(t, "testdata/crowd") }

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:       dir,
		Setup:     setup,
		Condition: condition,
		Cmds:      commands,
	})
}

// hog takes all inotify instances of its uid until it is ended.
func hog() {
	for {
		if _, err := unix.InotifyInit(); err != nil {
			break
		}
	}
	if err := os.WriteFile("hogged", nil, 0o644); err != nil {
		panic(err)
	}
	time.Sleep(time.Hour)
}

// goDaemon is a Go program that comes to its handler only after half a second.
// Until then HUP ends it, though the Go runtime shows it as caught.
func goDaemon() {
	if err := os.WriteFile("ready", nil, 0o644); err != nil {
		panic(err)
	}
	time.Sleep(500 * time.Millisecond)
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	for range hups {
		content, err := os.ReadFile(os.Getenv("CONF"))
		if err != nil {
			panic(err)
		}
		got, err := os.OpenFile("got", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(got, "HUP %s", content)
		got.Close()
	}
}
