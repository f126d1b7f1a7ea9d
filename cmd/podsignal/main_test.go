package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/podtest"
)

func TestMain(m *testing.M) {
	if goTarget.MatchString(os.Args[0]) {
		goDaemon()
		return
	}
	testscript.Main(atDefaults{m}, map[string]func(){
		"podsignal": main,
		"hog":       hog,
		firstEnds:   firstEndsDaemon,
		"web-sink":  webSink,
	})
}

// atDefaults are the tests, and not the commands of scripts, which have their signals as
// the scripts start them.
type atDefaults struct{ *testing.M }

func (m atDefaults) Run() int {
	podtest.DefaultSignals()
	return m.M.Run()
}

// The scripts in testdata are podsignal's behaviour as its users see it. Each is
// named after the clause of the contract that it holds; script_test.go has the
// commands that they are made of.
func TestScripts(t *testing.T) { alone.run(t, scripts(t, "*")) }

// TestCrowd runs alone: thousands of processes slow down whoever reads /proc.
func TestCrowd(t *testing.T) { alone.run(t, scripts(t, "crowd/*")) }

// What the tests were started to ignore or to block, as by nohup, is no target's.
func TestScriptsUnderNohup(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, wrapper := range []string{
		"nohup", "env --ignore-signal=HUP,INT,USR1,USR2,TERM", "env --block-signal=HUP,INT,USR1,USR2,TERM",
	} {
		t.Run(wrapper, func(t *testing.T) {
			t.Parallel()
			command := append(strings.Fields(wrapper), self, "-test.run=^TestScripts$/^(D1-same-digest|G2-go-program|stop)$")
			out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The contract holds for a rule among others too, of which one never finds its process,
// and one its files.
func TestScriptsAmongRules(t *testing.T) {
	amongRules.run(t, scripts(t, "[DGPSW][0-9]-*", "file-in-*", "podsignal-*", "stop", "target-*", "volume-*"))
}

// What is not about signals holds for calls of a URL too.
func TestScriptsByURL(t *testing.T) {
	byURL.run(t, scripts(t, "D[1-4]-*", "W*", "file-in-*", "podsignal-killed", "volume-*"))
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

// goTarget is what goDaemon is started as.
var goTarget = regexp.MustCompile(`/go-web\d+$`)

// goDaemon is a Go program that comes to its handler only after half a second.
// Until then HUP ends it, though the Go runtime shows it as caught.
func goDaemon() {
	if err := os.WriteFile("ready", nil, 0o644); err != nil {
		panic(err)
	}
	time.Sleep(500 * time.Millisecond)
	noteHUPs()
}

// noteHUPs notes them in the file got, with what CONF shows.
func noteHUPs() {
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	if err := os.WriteFile("handles", nil, 0o644); err != nil {
		panic(err)
	}
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

const firstEnds = "first-ends"

func init() {
	if filepath.Base(os.Args[0]) == firstEnds {
		runtime.LockOSThread() // keeps main on the first thread, and all else off it
	}
}

// firstEndsDaemon is a program whose first thread ends; the others take the signal.
func firstEndsDaemon() {
	go noteHUPs()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // of this thread alone (_exit(2))
}

// webSink answers requests with the status in the file answer, by default with 200, and
// not at all if that is 0. It notes them in the file got, with their Authorization and
// what CONF shows, or, if it is given a file, what was posted in that.
func webSink() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile("ready", nil, 0o644); err != nil {
		panic(err)
	}
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note, line := "got", []string{r.Method, r.RequestURI}
		if len(os.Args) > 1 {
			body, _ := io.ReadAll(r.Body)
			note, line = os.Args[1], []string{string(body)}
		} else {
			if who := r.Header.Get("Authorization"); who != "" {
				line = append(line, who)
			}
			content, _ := os.ReadFile(os.Getenv("CONF"))
			line = append(line, string(content))
		}
		answer, _ := os.ReadFile("answer")
		code, text, _ := strings.Cut(strings.TrimSpace(string(answer)), " ")
		switch code {
		case "":
		case "0":
			<-r.Context().Done()
			return
		default:
			status, _ := strconv.Atoi(code)
			http.Error(w, text, status)
			return
		}
		f, err := os.OpenFile(note, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, strings.TrimSpace(strings.Join(line, " ")))
		f.Close()
	})))
}
