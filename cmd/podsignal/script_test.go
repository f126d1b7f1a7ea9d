package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/internal/check"
	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal/podtest"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// deadline is for what must happen.
const deadline = 20 * time.Second

// daemon is the target in most scripts: it notes each signal in the file got,
// with what it would load then. A script's name is its process's name.
const daemon = `#!/bin/sh
load() { read -r value < "$CONF"; echo "$1 $value" >> got; }
trap 'load HUP' HUP
trap 'load USR1' USR1
exec 3<> fifo
: > ready
while :; do read -r line <&3; done
`

// webDaemon does by HTTP what daemon does by HUP.
const webDaemon = `#!/usr/bin/perl
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$ENV{PORT}", Listen => 5, ReuseAddr => 1) or die;
open(my $ready, '>', 'ready') or die;
while (my $caller = $listener->accept) {
	while (my $line = <$caller>) { last if $line eq "\r\n" }
	open(my $conf, '<', $ENV{CONF}) or die;
	open(my $got, '>>', 'got') or die;
	chomp(my $value = <$conf>);
	print $got "HUP $value\n";
	close $got;
	print $caller "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
}
`

// processes are those that a script has started.
type processes struct {
	running map[string]*exec.Cmd // by the name that the script uses
	all     []*exec.Cmd
	pod     *podtest.Pod // for all that follow
}

type processesKey struct{}

// A variant is a way to run the scripts.
type variant struct {
	daemon string            // the target
	env    map[string]string // for podsignal; $WORK is the script's folder, $PORT a free port
	unsay  []change          // what the log has that the scripts do not expect
}

type change struct {
	re *regexp.Regexp
	as string
}

type variantKey struct{}

// setup gives each script a target with a name of its own, since podsignal sees
// the targets of the other scripts too.
func (v variant) setup(env *testscript.Env) error {
	env.Values[variantKey{}] = v
	name := fmt.Sprintf("web%d", time.Now().UnixNano()%1e9)
	env.Setenv("TARGET", name)
	for key, value := range map[string]string{
		"PROCESS": name, "CONF": "v/key",
		"LOG_LEVEL": "debug", "START_GRACE": "0", "MIN_INTERVAL": "0",
	} {
		env.Setenv(key, value)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Setenv("PORT", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	if err := listener.Close(); err != nil {
		return err
	}
	env.Setenv("FILE", filepath.Join(env.WorkDir, "v"))
	for key, value := range v.env {
		env.Setenv(key, os.Expand(value, env.Getenv))
	}
	binary, err := exec.LookPath("podsignal")
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(binary), filepath.Dir(env.WorkDir), env.WorkDir} {
		for ; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil { // other uids must get in
				return err
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(env.WorkDir, "bin"), 0o755); err != nil {
		return err
	}
	fifo := filepath.Join(env.WorkDir, "fifo")
	if err := errors.Join(unix.Mkfifo(fifo, 0o666), os.Chmod(fifo, 0o666)); err != nil {
		return err
	}
	started := &processes{running: make(map[string]*exec.Cmd), pod: new(podtest.Pod)}
	env.Values[processesKey{}] = started
	env.Defer(func() {
		for _, cmd := range started.all {
			// With all that it has started, which is in a group of its own.
			_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		}
		for _, cmd := range started.running {
			_ = cmd.Wait()
		}
	})
	return errors.Join(
		os.WriteFile(filepath.Join(env.WorkDir, "bin", name), []byte(v.daemon), 0o755),
		os.Symlink(binary, filepath.Join(env.WorkDir, "bin", "go-"+name)),
	)
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "amd64":
		return runtime.GOARCH == "amd64", nil
	case "perl-threads":
		return exec.Command("perl", "-Mthreads", "-e", "1").Run() == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"volume": volumeCommand,
	"pod":    podCommand,
	"target": targetCommand,
	"start":  startCommand,
	"end":    endCommand,
	"send":   sendCommand,
	"flood":  floodCommand,
	"await":  awaitCommand,
	"log":    logCommand,
	"got":    gotCommand,
	"quiet":  quietCommand,
	"window": windowCommand,
	"get":    getCommand,
	"tmpfs":  tmpfsCommand,
	"bind":   bindCommand,
	"report": reportCommand,
	"stall":  stallCommand,
	"hang":   hangCommand,
	"each":   eachCommand,
}

// volume DIR KEY=VALUE ... writes a volume as the kubelet does, as a whole. A value
// @FILE is that file's content, with @WORK@ and @PORT@ (a free one) filled in. With
// -swap first it stops before the last steps, like a kubelet that dies.
func volumeCommand(ts *testscript.TestScript, _ bool, args []string) {
	swapOnly := args[0] == "-swap"
	if swapOnly {
		args = args[1:]
	}
	files := make(volumetest.Files)
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = strings.NewReplacer("@WORK@", ts.MkAbs("."), "@PORT@", ts.Getenv("PORT")).Replace(ts.ReadFile(file))
		}
		files[key] = value + "\n"
	}
	dir := ts.MkAbs(args[0])
	if !swapOnly {
		ts.Check(volumetest.Write(dir, files))
		return
	}
	u, err := volumetest.Begin(dir, files)
	ts.Check(err)
	ts.Check(u.Swap())
}

// pod gives what is started from here on a PID namespace of its own, so that a program
// may have its usual name. Without root there is none, and CMDLINE must tell which is
// meant of those on the machine.
func podCommand(ts *testscript.TestScript, _ bool, _ []string) {
	pod, err := podtest.New()
	ts.Check(err)
	ts.Value(processesKey{}).(*processes).pod = pod
	ts.Defer(pod.Close)
}

// target [NAME [ARG ...]] starts bin/NAME, by default $TARGET, and waits until it
// has made the file ready.
func targetCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		args = []string{ts.Getenv("TARGET")}
	}
	ready := ts.MkAbs("ready")
	_ = os.Remove(ready)
	start(ts, args[0], 0, append([]string{ts.MkAbs("bin/" + args[0])}, args[1:]...))
	await(ts, "the target to be ready", func() bool { _, err := os.Stat(ready); return err == nil })
}

// start [-uid N] [-as NAME] COMMAND [ARG ...] starts a program in the background,
// with its standard error in the file NAME.log, by default COMMAND's, and its pid in
// the variable pid_NAME. Of podsignal it waits until it watches.
func startCommand(ts *testscript.TestScript, _ bool, args []string) {
	uid := 0
	if args[0] == "-uid" {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		uid, args = n, args[2:]
	}
	name := filepath.Base(args[0])
	if name == "-as" {
		name, args = args[1], args[2:]
	}
	start(ts, name, uid, args)
	if name == "podsignal" {
		logCommand(ts, false, []string{"watching"})
	}
}

func start(ts *testscript.TestScript, name string, uid int, args []string) {
	// A process that starts within 20 ms of a change may have read what was before, and a
	// change counts from when podsignal takes its last event: on a busy machine, a little later.
	time.Sleep(100 * time.Millisecond)
	stderr, err := os.Create(ts.MkAbs(name + ".log"))
	ts.Check(err)
	defer stderr.Close()
	path, err := exec.LookPath(args[0])
	if strings.Contains(args[0], "/") {
		path, err = ts.MkAbs(args[0]), nil
	}
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir, cmd.Stderr = ts.MkAbs("."), stderr
	for _, key := range append(config.Variables(strings.Split(ts.Getenv("RULES"), ",")), "CONF", "PORT", "PATH") {
		cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	started := ts.Value(processesKey{}).(*processes)
	ts.Check(started.pod.Start(cmd))
	started.running[name], started.all = cmd, append(started.all, cmd)
	pid, err := started.pod.PID(cmd.Process)
	ts.Check(err)
	ts.Setenv("pid_"+name, strconv.Itoa(pid))
}

// started is a program that start has started.
func started(ts *testscript.TestScript, name string) *exec.Cmd {
	cmd := ts.Value(processesKey{}).(*processes).running[name]
	if cmd == nil {
		ts.Fatalf("%s was not started", name)
	}
	return cmd
}

// send NAME SIGNAL sends a signal to a program that was started. After STOP all of its
// threads have stopped.
func sendCommand(ts *testscript.TestScript, _ bool, args []string) {
	process := started(ts, args[0]).Process
	ts.Check(process.Signal(unix.SignalNum("SIG" + args[1])))
	if args[1] != "STOP" {
		return
	}
	await(ts, args[0]+" to stop", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", process.Pid))
		ts.Check(err)
		return !slices.ContainsFunc(threads, func(thread string) bool {
			status, err := os.ReadFile(thread)
			return err == nil && !bytes.Contains(status, []byte("State:\tT"))
		})
	})
}

// flood FILE FILE makes more events than inotify queues, on two files in turn: the
// kernel merges equal ones that follow each other.
func floodCommand(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	ts.Check(err)
	n, err := strconv.Atoi(string(bytes.TrimSpace(limit)))
	ts.Check(err)
	for range n {
		for _, file := range args {
			ts.Check(os.Chtimes(ts.MkAbs(file), time.Now(), time.Now()))
		}
	}
}

// end NAME [SIGNAL] ends a program, by default with TERM. podsignal, and what is named
// podsignal-…, must then exit with 0.
func endCommand(ts *testscript.TestScript, _ bool, args []string) {
	cmd := started(ts, args[0])
	delete(ts.Value(processesKey{}).(*processes).running, args[0])
	sig := syscall.SIGTERM
	if len(args) > 1 {
		sig = unix.SignalNum("SIG" + args[1])
	}
	ts.Check(cmd.Process.Signal(sig))
	defer time.AfterFunc(deadline, func() { _ = cmd.Process.Kill() }).Stop() // or it would block all tests
	err := cmd.Wait()
	if strings.HasPrefix(args[0], "podsignal") && sig != unix.SIGKILL && err != nil {
		ts.Fatalf("podsignal: %v, want exit code 0", err)
	}
}

// podsignalLog is podsignal's log, less what tells the ways apart in which the scripts
// are run: with and without other rules, and by a signal or a call.
func podsignalLog(ts *testscript.TestScript) string {
	log := ts.ReadFile("podsignal.log")
	for _, change := range ts.Value(variantKey{}).(variant).unsay {
		log = change.re.ReplaceAllString(log, change.as)
	}
	return log
}

// log REGEXP [N] waits for a line of podsignal's log that matches; with N, there
// must be exactly as many. Negated, there must be none by now.
func logCommand(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	count := func() int { return len(re.FindAllString(podsignalLog(ts), -1)) }
	if neg {
		if n := count(); n != 0 {
			ts.Fatalf("the log has %d lines that match %q:\n%s", n, args[0], ts.ReadFile("podsignal.log"))
		}
		return
	}
	want := 1
	if len(args) > 1 {
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	await(ts, fmt.Sprintf("%d lines that match %q in the log", want, args[0]), func() bool { return count() >= want })
	if n := count(); len(args) > 1 && n != want {
		ts.Fatalf("the log has %d lines that match %q, want %d:\n%s", n, args[0], want, ts.ReadFile("podsignal.log"))
	}
}

// got [LINE ...] waits until the targets have noted just these signals.
func gotCommand(ts *testscript.TestScript, _ bool, args []string) {
	var got []string
	await(ts, fmt.Sprintf("the signals %q", args), func() bool {
		b, err := os.ReadFile(ts.MkAbs("got"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
		got = nil
		for line := range bytes.Lines(b) {
			got = append(got, string(bytes.TrimSpace(line)))
		}
		return len(got) >= len(args)
	})
	if !slices.Equal(got, args) {
		ts.Fatalf("signals (-want +got):\n%s\n%s", cmp.Diff(args, got), ts.ReadFile("podsignal.log"))
	}
}

// quiet PATH makes podsignal look twice, by a change of PATH's time alone: all
// that it was about to do when the command began, it has then done.
func quietCommand(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	looks := func() int { return strings.Count(podsignalLog(ts), "files unchanged") }
	for range 2 {
		before := looks()
		var changed time.Time
		await(ts, "a look at "+path, func() bool {
			// Again: on a busy machine a look may be told together with a change before it.
			if time.Since(changed) > time.Second {
				changed = time.Now()
				ts.Check(os.Chtimes(path, changed, changed))
			}
			return looks() > before
		})
	}
}

// window N waits until podsignal has logged as many signals or calls, and the time is
// over within which a program may still be reading for the last of them (readWithin in
// package deliver).
func windowCommand(ts *testscript.TestScript, _ bool, args []string) {
	const line = `^time=(\S+) .*msg=(signalled|called) `
	logCommand(ts, false, []string{line, args[0]})
	lines := regexp.MustCompile("(?m)"+line).FindAllStringSubmatch(ts.ReadFile("podsignal.log"), -1)
	last, err := time.Parse(time.RFC3339, lines[len(lines)-1][1])
	ts.Check(err)
	interval, err := time.ParseDuration(ts.Getenv("MIN_INTERVAL"))
	ts.Check(err)
	time.Sleep(time.Until(last.Add(max(interval, time.Second) + 10*time.Millisecond)))
}

// get PATH CODE [REGEXP ...] waits until that page of podsignal's has this status
// and a line for each expression. Negated, it must have none of these lines now.
func getCommand(ts *testscript.TestScript, neg bool, args []string) {
	address := ts.Getenv("LISTEN")
	if strings.HasSuffix(address, ":0") {
		const listening = `msg=listening address=(\S+)`
		logCommand(ts, false, []string{listening})
		address = regexp.MustCompile(listening).FindStringSubmatch(ts.ReadFile("podsignal.log"))[1]
	}
	var page string
	count := func() (lines int) {
		response, err := http.Get("http://" + address + args[0])
		if err != nil {
			page = err.Error() // it may not listen yet
			return 0
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		ts.Check(err)
		page = fmt.Sprintf("%d\n%s", response.StatusCode, body)
		for _, expr := range args[2:] {
			if regexp.MustCompile("(?m)" + expr).Match(body) {
				lines++
			}
		}
		return lines
	}
	as := func() bool { return strings.HasPrefix(page, args[1]+"\n") }
	if neg {
		if count() > 0 || !as() {
			ts.Fatalf("%s is %s", args[0], page)
		}
		return
	}
	end := time.Now().Add(deadline)
	for count() < len(args)-2 || !as() {
		if time.Now().After(end) {
			ts.Fatalf("waited %s for %s to be %q; it is %s", deadline, args[0], args[1:], page)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// tmpfs DIR mounts an empty file system there until the script ends.
func tmpfsCommand(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("podsignal-test", dir, "tmpfs", 0, "size=1m"))
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// bind FILE POINT mounts a file, which a script has made, at another until the script ends.
func bindCommand(ts *testscript.TestScript, _ bool, args []string) {
	point := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(point), 0o755))
	ts.Check(os.WriteFile(point, nil, 0o644))
	ts.Check(unix.Mount(ts.MkAbs(args[0]), point, "", unix.MS_BIND, ""))
	ts.Defer(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
}

// unsteady is what differs from run to run in a report of podsignal check.
var unsteady = []change{
	{regexp.MustCompile(`\bweb\d+`), "web"},
	{regexp.MustCompile(`\b(pid|parent) \d+`), "$1 N"},
	{regexp.MustCompile(`uid \d+ uses`), "uid N uses"},
	{regexp.MustCompile(`\d+ of \d+ `), "N of N "},
	{regexp.MustCompile(`\d+ visible processes`), "N visible processes"},
	{regexp.MustCompile(`\.\.\d{4}[\d_.]+`), "..STAMP"},
}

// report [-json] FILE compares what the last command printed with a report, in which
// what is unsteady stands as unsteady has it, and this folder as $WORK. With -json
// it was printed as a document, which must hold all that makes the report.
func reportCommand(ts *testscript.TestScript, _ bool, args []string) {
	got := ts.ReadFile("stdout")
	if args[0] == "-json" {
		args = args[1:]
		var r check.Report
		dec := json.NewDecoder(strings.NewReader(got))
		dec.DisallowUnknownFields()
		ts.Check(dec.Decode(&r))
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			ts.Fatalf("more than one document: %s", got)
		}
		var text strings.Builder
		ts.Check(r.Print(&text))
		got = text.String()
	}
	got = strings.ReplaceAll(got, ts.MkAbs("."), "$WORK")
	for _, u := range unsteady {
		got = u.re.ReplaceAllString(got, u.as)
	}
	if diff := cmp.Diff(ts.ReadFile(args[0]), got); diff != "" {
		ts.Fatalf("report (-want +got):\n%s\nall of it:\n%s", diff, got)
	}
}

// await COMMAND [ARG ...] runs a command until it succeeds.
func awaitCommand(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, strings.Join(args, " "), func() bool {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = ts.MkAbs(".")
		return cmd.Run() == nil
	})
}

func await(ts *testscript.TestScript, what string, done func() bool) {
	for end := time.Now().Add(deadline); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			log, _ := os.ReadFile(ts.MkAbs("podsignal.log"))
			ts.Fatalf("waited %s for %s; podsignal's log:\n%s", deadline, what, log)
		}
	}
}
