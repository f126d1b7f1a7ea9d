package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podsignal/podsignal/signal/podtest"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// TestNginxTenSwaps is what podsignal is for: each swap is served, by the same
// nginx, after one signal to its master and none to its workers.
func TestNginxTenSwaps(t *testing.T) {
	t.Parallel()
	n := startNginx(t)
	p := n.startPodsignal()
	started := startTime(t, n.cmd.Process.Pid)

	const swaps = 10
	for i := range swaps {
		n.swap(fmt.Sprintf("answer %d", i+1))
		// A reloading master blocks HUP for 100 ms, so that two would be one to it.
		// When the old workers are gone it listens again.
		n.waitFor("the old workers are gone", func() bool {
			return strings.Count(n.said(), " exited with code 0\n") >= (i+1)*workers
		})
	}
	if got := startTime(t, n.cmd.Process.Pid); got != started {
		t.Errorf("master's start time is %s, was %s: nginx was started again", got, started)
	}
	// When podsignal has ended, nothing more can come: what follows is all there is.
	p.end()
	if got := strings.Count(p.said(), "msg=signalled"); got != swaps {
		t.Errorf("podsignal logged %d signals for %d swaps", got, swaps)
	}

	// A worker survives a HUP and only logs it. One is sent by hand, so that its
	// line is seen: the lack of others then means something.
	worker := n.worker()
	byHand := start(t, n.pod, nil, "/bin/sh", "-c", fmt.Sprint("kill -HUP ", worker, "; exec sleep 60"))
	want := slices.Repeat([]hup{{to: n.pid, from: p.pid, then: "reconfiguring"}}, swaps)
	want = append(want, hup{to: worker, from: byHand.pid, then: "ignoring"})
	n.waitFor("the worker logs the HUP", func() bool { return slices.Contains(n.hups(), want[swaps]) })
	if got := n.hups(); !slices.Equal(got, want) {
		t.Errorf("nginx logged these HUPs:\n%v\nwant\n%v", got, want)
	}
	// The signal handler logs what it received, the master's loop what it did.
	if got := strings.Count(n.said(), ": reconfiguring\n"); got != swaps {
		t.Errorf("master reconfigured %d times for %d swaps", got, swaps)
	}
}

// TestNginxUnderLoad reloads under two clients that never stop asking, and not
// one request of theirs fails.
//
// nginx closes the idle connections of its old workers. A request that is on its
// way at that moment finds its connection closed before the first byte of an
// answer. RFC 9112, 9.3.1 has clients send it again on a new connection when it is
// idempotent; browsers, proxies and Go's http.Transport do, and so do these. A
// POST would surface as an error, with any way to reload nginx.
func TestNginxUnderLoad(t *testing.T) {
	t.Parallel()
	n := startNginx(t)
	p := n.startPodsignal()

	const swaps = 20
	stop := make(chan struct{})
	loads := []<-chan load{n.ask(stop), n.ask(stop)}
	for i := range swaps {
		n.swap(fmt.Sprintf("answer %d", i+1))
	}
	close(stop)
	for _, result := range loads {
		l := <-result
		t.Logf("%d requests, %d connections, %d failed", l.requests, l.connections, len(l.failed))
		for _, err := range l.failed {
			t.Errorf("request failed: %v", err)
		}
		// Otherwise this was another test: one without kept connections, or one
		// without workers that close them.
		if l.requests < 10*swaps || l.connections > l.requests/2 || l.connections < 2 {
			t.Errorf("%d requests on %d connections: not the load that is meant", l.requests, l.connections)
		}
	}
	p.end()
	want := slices.Repeat([]hup{{to: n.pid, from: p.pid, then: "reconfiguring"}}, swaps)
	if got := n.hups(); !slices.Equal(got, want) {
		t.Errorf("nginx logged these HUPs:\n%v\nwant\n%v", got, want)
	}
}

// web is a real server that serves a volume on loopback, in a pod; without root, where
// there is none, its process has a name that no other process of the machine has.
type web struct {
	t   *testing.T
	pod *podtest.Pod
	*process
	dir, name, volume, address string
	answering                  func(string) volumetest.Files // the volume that makes it answer so
}

func newWeb(t *testing.T, program string) *web {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program) // not in the PATH of Debian's ordinary users
	}
	if err != nil {
		t.Skipf("install %s (Debian: apt-get install %[1]s)", program)
	}
	pod, err := podtest.New()
	check(t, err)
	t.Cleanup(pod.Close)
	dir := t.TempDir()
	n := &web{t: t, pod: pod, dir: dir, name: program, volume: filepath.Join(dir, "volume"), address: freeAddress(t)}
	if os.Geteuid() != 0 {
		n.name = (program + "-" + strings.ToLower(rand.Text()))[:15] // the kernel keeps no more
	}
	// The kernel names a process after the file that was executed, link or not.
	check(t, os.Symlink(path, filepath.Join(dir, n.name)))
	return n
}

const workers = 2

const nginxConf = `daemon off;
pid nginx.pid;
error_log stderr notice;
worker_processes %d;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %s;
        include %s/*.conf;
    }
}
`

func startNginx(t *testing.T) *web {
	t.Helper()
	n := newWeb(t, "nginx")
	n.answering = func(answer string) volumetest.Files {
		return volumetest.Files{"site.conf": fmt.Sprintf("location / { return 200 %q; }\n", answer)}
	}
	conf := filepath.Join(n.dir, "nginx.conf")
	check(t, os.WriteFile(conf, fmt.Appendf(nil, nginxConf, workers, n.address, n.volume), 0o600))
	n.start("-p", n.dir, "-c", conf)
	return n
}

// start starts the server on a volume that is clearly older than it.
func (n *web) start(args ...string) {
	n.t.Helper()
	check(n.t, volumetest.Write(n.volume, n.answering("answer 0")))
	// A target that starts right at a change gets one signal, to be sure (D4).
	written := time.Now()
	waitFor(n.t, "the volume is older than the server", func() bool { return time.Since(written) > 100*time.Millisecond })
	n.process = start(n.t, n.pod, nil, append([]string{filepath.Join(n.dir, n.name)}, args...)...)
	n.waitFor("it serves", func() bool { return n.serves("answer 0") })
}

func (n *web) startPodsignal(env ...string) *process {
	n.t.Helper()
	bin := filepath.Join(n.dir, "podsignal")
	if out, err := exec.CommandContext(n.t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
	env = append(env, "FILE="+n.volume, "PROCESS="+n.name, "MIN_INTERVAL=50ms")
	p := start(n.t, n.pod, env, bin)
	p.waitFor("podsignal watches", func() bool { return strings.Contains(p.said(), "msg=watching") })
	return p
}

// swap returns when the answer is served.
func (n *web) swap(answer string) {
	n.t.Helper()
	check(n.t, volumetest.Write(n.volume, n.answering(answer)))
	n.waitFor("it serves "+answer, func() bool { return n.serves(answer) })
}

// serves asks on a new connection: one that is kept would stay with its worker.
func (n *web) serves(answer string) bool {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	got, err := get(n.t.Context(), &client, "http://"+n.address)
	return err == nil && got == answer
}

type load struct {
	requests, connections int
	failed                []error
}

// ask sends 500 requests a second on one connection, and on a new one when that
// is closed, until stop is closed.
func (n *web) ask(stop <-chan struct{}) <-chan load {
	client := http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 10 * time.Second}
	result := make(chan load, 1)
	go func() {
		defer client.CloseIdleConnections()
		var l load
		ctx := httptrace.WithClientTrace(n.t.Context(), &httptrace.ClientTrace{
			GotConn: func(c httptrace.GotConnInfo) {
				if !c.Reused {
					l.connections++
				}
			},
		})
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.requests++
				if _, err := get(ctx, &client, "http://"+n.address); err != nil {
					l.failed = append(l.failed, err)
				}
			case <-stop:
				result <- l
				return
			}
		}
	}()
	return result
}

// A hup is one line that nginx logs when one of its processes receives a HUP.
type hup struct {
	to, from int // pids
	then     string
}

var (
	hupLine    = regexp.MustCompile(` (\d+)#\d+: signal 1 \(SIGHUP\) received from (\d+), (\w+)\n`)
	workerLine = regexp.MustCompile(`: start worker process (\d+)\n`)
)

func (n *web) hups() []hup {
	var hups []hup
	for _, m := range hupLine.FindAllStringSubmatch(n.said(), -1) {
		hups = append(hups, hup{to: number(n.t, m[1]), from: number(n.t, m[2]), then: m[3]})
	}
	return hups
}

// worker is the one that was started last, which no reload has told to end.
func (n *web) worker() int {
	lines := workerLine.FindAllStringSubmatch(n.said(), -1)
	return number(n.t, lines[len(lines)-1][1])
}

// A process is ended with its test, at the latest.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	pid   int           // in its pod
	log   string        // the file that has its stdout and stderr
	ended chan struct{} // closed; then cmd.ProcessState says how
}

func start(t *testing.T, pod *podtest.Pod, env []string, command ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	check(t, err)
	defer log.Close()
	p := &process{t: t, cmd: exec.Command(command[0], command[1:]...), log: log.Name(), ended: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A test binary that is killed leaves none behind. The kernel means the end of
	// the thread that started it, so that thread stays; a pod does so automatically.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := pod.Start(p.cmd)
		if err == nil {
			p.pid, err = pod.PID(p.cmd.Process)
		}
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // no more than what ProcessState says
		}
	}()
	check(t, <-started)
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			t.Errorf("%s did not end at TERM", command[0])
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", command[0], p.said())
		}
	})
	return p
}

// end asks the process to end, and returns when it has, with status 0.
func (p *process) end() {
	p.t.Helper()
	check(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("did not end at TERM within %v", patience)
	}
	if !p.cmd.ProcessState.Success() {
		p.t.Errorf("ended with %v", p.cmd.ProcessState)
	}
}

func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

// waitFor fails at once when the process ends.
func (p *process) waitFor(what string, seen func() bool) {
	p.t.Helper()
	waitFor(p.t, what, func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("waiting until %s: process has ended: %v", what, p.cmd.ProcessState)
		default:
		}
		return seen()
	})
}

const patience = 15 * time.Second

func waitFor(t *testing.T, what string, seen func() bool) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for !seen() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// startTime is field 22 of /proc/PID/stat, see proc(5): the one that, with the
// pid, tells one process from another. The name before it may contain anything.
func startTime(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(t, err)
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[22-3]
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, listener.Close())
	return listener.Addr().String()
}

func get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(body), err
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	check(t, err)
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
