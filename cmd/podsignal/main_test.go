package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
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
func TestScripts(t *testing.T) { alone.run(t, scripts(t, "*")) }

// TestCrowd runs alone: thousands of processes slow down all who look at them.
func TestCrowd(t *testing.T) { alone.run(t, scripts(t, "crowd/*")) }

// The contract holds for a rule among others too, of which one never finds its process,
// and one its files.
func TestScriptsAmongRules(t *testing.T) {
	amongRules.run(t, scripts(t, "[DGPSW][0-9]-*", "file-*", "podsignal-*", "stop", "target-*", "volume-*"))
}

// What is not about signals holds for calls of a URL too.
func TestScriptsByURL(t *testing.T) {
	byURL.run(t, scripts(t, "D[1-4]-*", "W*", "file-*", "podsignal-killed", "volume-*"))
}

// The ways in which scripts are run.
var (
	alone      = variant{daemon: daemon}
	amongRules = variant{
		daemon: daemon,
		env: map[string]string{
			"RULES": "lost,main,waiting", "LOST_PROCESS": "nobody-has-this-name",
			"WAITING_PROCESS": "nor-this", "WAITING_FILE": "$WORK/never/there",
		},
		unsay: []change{
			{regexp.MustCompile(`(?m)^.* rule=(lost|waiting) .*\n`), ""},
			{regexp.MustCompile(` rule=main `), " "},
		},
	}
	byURL = variant{
		daemon: webDaemon,
		env:    map[string]string{"RELOAD_URL": "http://127.0.0.1:$PORT/reload"},
		unsay: []change{
			{regexp.MustCompile(`msg=called `), "msg=signalled "},
			{regexp.MustCompile(`msg="no call: `), `msg="no signal: `},
			{regexp.MustCompile(` url=\S+`), " signal=HUP"},
		},
	}
)

// scripts are those whose names match.
func scripts(t *testing.T, patterns ...string) (files []string) {
	t.Helper()
	for _, pattern := range patterns {
		matches, err := filepath.Glob(filepath.Join("testdata", pattern+".txtar"))
		if err != nil || len(matches) == 0 {
			t.Fatalf("no script is named %s", pattern)
		}
		files = append(files, matches...)
	}
	return files
}

func (v variant) run(t *testing.T, files []string) {
	testscript.Run(t, testscript.Params{
		Files:     files,
		Setup:     v.setup,
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
