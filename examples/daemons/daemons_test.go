// Package daemons_test runs real daemons with podsignal beside them, and holds the
// tables of them in README.md, beside it, against what is seen.
package daemons_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/programs"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// deadline is for what must happen.
const deadline = 30 * time.Second

// A daemon is a line of the table, and how to see that the line is true.
type daemon struct {
	name    string // as the table calls it
	of      string // as the table of package programs calls it, if otherwise
	folder  string // or manifest, below examples, where it has one
	rule    string // of RULES there, and its container, where there are several
	program string // in Debian, of the package pkg
	pkg     string
	process string // PROCESS; unless a manifest says so, that of the table
	signal  string // SIGNAL; the same
	url     string // RELOAD_URL, in place of these two
	env     []string
	sidecar string // podsignal's user; that of the daemon's first process if empty

	args    []string
	environ []string // more variables
	as      string   // who starts it: a name or a uid; root if empty
	user    string   // to whom its first process belongs when it runs; as if empty
	// prepare does what its package or its image does before the start.
	prepare  func() error
	readOnly bool // so is the root of its container

	dir     string // where the volume is mounted, and FILE unless file is set
	files   volumetest.Files
	volumes []string // where more are mounted, that prepare writes
	file    string   // FILE
	// change makes of a word in the files another; it is also what setting answers then.
	change  [2]string
	setting func() (string, error)
	// idle opens a connection that has nothing to do, or waits for the rest of a request,
	// and that the daemon leaves open for 20 s at least; nil if there is no such thing.
	idle func() (net.Conn, error)
	// breaks makes of a word in the files one that the daemon cannot use.
	breaks [2]string

	lost string

	// validate is the command of VALIDATE: what the table says, with the files of the test.
	validate string
	inside   bool // podsignal is in the daemon's image

	// secret returns what a volume shows of a certificate and a key, of a daemon in tls.
	secret func(certificate, key string) volumetest.Files

	// trace returns what changes whenever it reloads, of a daemon that has a rule.
	trace func(pid string, p *process) string
}

// What is lost at a reload.
const (
	nothing         = "nothing"
	idleConnections = "idle connections"
	idleLater       = "idle connections, after 6 s"
	refusals        = "idle connections, and new ones for a moment"
	newcomers       = "new connections for a moment"
	queries         = "idle connections, and queries for a moment"
	aConnection     = "rarely a connection"
	everything      = "all connections"
	itsPrograms     = "its programs, for a moment"
)

var daemons = known(slices.Concat(examples, httpServers, proxies, mailServers, supervisors,
	nameServers, services, accesses, networks))

// known has daemons be run as the table of package programs says.
func known(all []daemon) []daemon {
	for i := range all {
		d, p := &all[i], all[i].about()
		if d.folder == "" {
			d.process, d.signal = p.Processes[0], cmp.Or(p.Signal, "HUP")
		}
		if p.Cmdline != "" {
			d.env = append([]string{"CMDLINE=" + p.Cmdline}, d.env...)
		}
		d.env = append(d.env, p.Settings...)
	}
	return all
}

// about is what the table knows of it.
func (d daemon) about() programs.Program {
	p := programs.ByName(cmp.Or(d.of, d.name))
	if p == nil {
		panic("cmd/programs has no " + cmp.Or(d.of, d.name))
	}
	return *p
}

// unfit tells whether it does not reload on a signal.
func (d daemon) unfit() bool { return d.about().Signal == "" }

// outcome is what podsignal has to say of a reload, with a configuration that is good or broken.
func (d daemon) outcome(good bool) string {
	p := d.about()
	switch {
	case good:
		return string(p.Expect)
	case p.Broken == programs.Exits:
		return "died"
	case p.Broken == programs.Keeps && p.Expect == programs.Replaced:
		return "refused"
	default:
		return string(p.Expect)
	}
}

func TestDaemons(t *testing.T) {
	inPods(t, daemons, func(t *testing.T, d daemon) {
		if d.unfit() {
			d.testUnfit(t)
		} else {
			d.test(t)
		}
	})
}

// inPods tests each daemon in a pod of its own.
func inPods(t *testing.T, daemons []daemon, test func(*testing.T, daemon)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("run as root: each daemon gets namespaces of its own")
	}
	podsignal := filepath.Join(t.TempDir(), "podsignal")
	if os.Getenv(podRoot) == "" {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", podsignal, "../../cmd/podsignal")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // its container has no libraries
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, d := range daemons {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(d.program); err != nil {
				t.Skipf("%v: install Debian's package %s", err, d.pkg)
			}
			if inPod(t, podsignal) {
				test(t, d)
			}
		})
	}
}

// test reloads the daemon once with a good configuration and once with a broken one.
func (d daemon) test(t *testing.T) {
	p, pid := d.begin(t)
	before := startTime(t, pid)
	var idle net.Conn
	if d.idle != nil {
		var err error
		idle, err = d.idle()
		check(t, err)
		defer func() { _ = idle.Close() }() // it may be closed by then
		if isClosed(t, idle, 100*time.Millisecond) {
			t.Fatal("the idle connection is closed before the reload")
		}
	}

	failures := d.ask()
	changed := replace(d.files, d.change)
	start := time.Now()
	d.write(t, changed)
	await(t, "the new setting", func() error { return d.answers(d.change[1]) })
	t.Logf("in effect after %v", time.Since(start).Round(time.Millisecond))
	d.wantOutcome(t, p, 1, d.outcome(true))
	if failed := failures(); len(failed) > 0 && slices.Contains([]string{nothing, idleConnections, idleLater}, d.lost) {
		t.Errorf("%d requests failed during the reload, the first: %v", len(failed), failed[0])
	}
	if now := startTime(t, pid); now != before {
		t.Errorf("process %s has started at tick %s, it was %s: it has been restarted", pid, now, before)
	}
	if idle != nil {
		closes, patience := d.lost != nothing && d.lost != newcomers, 100*time.Millisecond
		if closes {
			patience = 10 * time.Second
		}
		if closed := isClosed(t, idle, patience); closed != closes {
			t.Errorf("an idle connection is closed: %v; the table says that it loses %s", closed, d.lost)
		}
		_ = idle.Close() // nghttpx ends only with the last of its connections
	}

	d.write(t, replace(changed, d.breaks))
	d.wantOutcome(t, p, 2, d.outcome(false))
	if got, want := d.afterBroken(pid, d.change[1]), d.about().Broken; got != want {
		t.Errorf("with a broken configuration it %s, the table says that it %s", got, want)
	}
}

// testUnfit changes the configuration of a daemon that does not reload on the signal.
func (d daemon) testUnfit(t *testing.T) {
	on := d.about().OnHUP
	held := map[programs.OnHUP]string{programs.Ignores: "ignores", programs.Unhandled: "has no handler for"}[on]
	if held != "" {
		d.env = slices.Concat(d.env, []string{"START_GRACE=0s", "LOG_LEVEL=debug"}) // it says so at once
	}
	p, pid := d.begin(t)
	d.write(t, replace(d.files, d.change))
	switch {
	case held != "":
		p.value(t, held+" "+d.signal, 1, "pid")
	case on == programs.Ends:
		d.wantOutcome(t, p, 1, "died")
		return
	default:
		d.wantOutcome(t, p, 1, "unseen")
	}
	if stat(pid) == nil {
		t.Error("it has ended")
	}
	if err := d.answers(d.change[0]); err != nil {
		t.Errorf("it has reloaded: %v", err)
	}
}

// begin starts podsignal and the daemon on the volume, and returns the process that
// podsignal has found, or else the one that was started.
func (d daemon) begin(t *testing.T) (podsignal *process, pid string) {
	prepare(t, d)
	p := d.startPodsignal(t)
	time.Sleep(50 * time.Millisecond) // a daemon that starts within 20 ms of a change is notified of it
	pid = strconv.Itoa(d.start(t).pid)
	await(t, "the daemon serves", func() error { return d.answers(d.change[0]) })
	if d.process != "" {
		pid = p.value(t, "process found", 1, "pid")
	}
	d.wantOwner(t, pid)
	return p, pid
}

// prepare makes the pod's files what the containers of its daemons have: the volumes,
// what their images add, and all else read-only, if the manifest says so.
func prepare(t *testing.T, daemons ...daemon) {
	t.Helper()
	for _, d := range daemons {
		for _, dir := range d.watched() {
			check(t, folders(dir, container+dir)())
			check(t, mount("tmpfs", dir, "tmpfs", 0, "mode=0755")())
			check(t, mount(dir, container+dir, "", unix.MS_BIND, "")())
		}
		d.write(t, d.files)
	}
	if daemons[0].folder != "" {
		check(t, mount("tmpfs", "/tmp", "tmpfs", 0, "mode=0755")())
	}
	readOnly := true
	for _, d := range daemons {
		if d.prepare != nil {
			check(t, d.prepare())
		}
		readOnly = readOnly && d.readOnly
	}
	if readOnly {
		check(t, mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")())
	}
}

// watched are the folders where its volumes are mounted, in podsignal's container too.
func (d daemon) watched() []string { return append([]string{d.dir}, d.volumes...) }

// write makes the volume show files, as the kubelet does.
func (d daemon) write(t *testing.T, files volumetest.Files) {
	t.Helper()
	check(t, volumetest.Write(d.dir, files))
}

// replace returns the files with a word of theirs replaced; it must be there.
func replace(files volumetest.Files, words [2]string) volumetest.Files {
	found := false
	replaced := make(volumetest.Files)
	for name, content := range files {
		found = found || strings.Contains(content, words[0])
		replaced[name] = strings.ReplaceAll(content, words[0], words[1])
	}
	if !found {
		panic(fmt.Sprintf("no %q in the files", words[0]))
	}
	return replaced
}

func (d daemon) answers(want string) error {
	got, err := d.setting()
	if err == nil && got != want {
		err = fmt.Errorf("the setting is %q, want %q", got, want)
	}
	return err
}

// ask asks for the setting without a pause until the function that it returns is
// called, which returns the errors.
func (d daemon) ask() func() []error {
	stop, done := make(chan struct{}), make(chan []error)
	go func() {
		var failed []error
		for {
			select {
			case <-stop:
				done <- failed
				return
			default:
			}
			if _, err := d.setting(); err != nil {
				failed = append(failed, err)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return func() []error { close(stop); return <-done }
}

// afterBroken says what the daemon has made of a configuration that it cannot use; its setting
// was this.
func (d daemon) afterBroken(pid, was string) programs.Broken {
	if state := stat(pid); state == nil || state[0] == "Z" {
		return programs.Exits
	}
	switch got, err := d.setting(); {
	case err != nil || got == "":
		return programs.StopsServing
	case got == was:
		return programs.Keeps
	case strings.Contains(d.breaks[1], got):
		return programs.Skips // breaks has changed the setting too
	default:
		return programs.Resets
	}
}

// wantOwner checks whom the process belongs to: kill(2) asks for the real and the
// saved uid.
func (d daemon) wantOwner(t *testing.T, pid string) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	check(t, err)
	want := fmt.Sprintf("\nUid:\t%[1]d\t%[1]d\t%[1]d\t", credential(d.owner()).Uid)
	if !bytes.Contains(status, []byte(want)) {
		t.Errorf("process %s is not %s's:\n%s", pid, d.owner(), status)
	}
}

// wantOutcome waits for what podsignal says of the nth signal.
func (d daemon) wantOutcome(t *testing.T, p *process, n int, want string) {
	t.Helper()
	if got := p.value(t, "outcome=", n, "outcome"); got != want {
		t.Errorf("outcome %d is %s, want %s", n, got, want)
	}
	if signals := p.lines("msg=signalled"); len(signals) != n {
		t.Errorf("%d signals, want %d:\n%s", len(signals), n, strings.Join(signals, "\n"))
	}
}

// owner is whom its first process belongs to when it runs: podsignal must be the same.
func (d daemon) owner() string { return cmp.Or(d.user, d.as, "root") }

// start starts the daemon as its image does.
func (d daemon) start(t *testing.T) *process {
	t.Helper()
	cmd := exec.Command(d.program, d.args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), d.environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if d.as != "" {
		cmd.SysProcAttr.Credential = credential(d.as)
	}
	return start(t, cmd)
}

// startPodsignal starts podsignal in a container of its own, as the daemon's user.
func (d daemon) startPodsignal(t *testing.T) *process {
	t.Helper()
	root, program := container, "/bin/podsignal"
	if d.inside { // its container has the daemon's image
		root, program = "", container+program
	}
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = slices.Concat([]string{"FILE=" + cmp.Or(d.file, d.dir), "PROCESS=" + d.process, "SIGNAL=" + d.signal, "RELOAD_URL=" + d.url, "VERIFY=3s"}, d.env)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: root, Cloneflags: unix.CLONE_NEWNS, Credential: credential(cmp.Or(d.sidecar, d.owner())),
	}
	p := start(t, cmd)
	await(t, "podsignal watches", func() error {
		if len(p.lines("msg=watching")) == 0 {
			return errors.New(p.output.String())
		}
		return nil
	})
	return p
}

// credential is that of a user, by name or uid.
func credential(name string) *syscall.Credential {
	u, err := user.Lookup(name)
	if err != nil {
		uid, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			panic(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// A process is one that runs until the pod ends.
type process struct {
	output *buffer
	pid    int
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{output: new(buffer)}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	check(t, cmd.Start())
	p.pid = cmd.Process.Pid
	go func() { _ = cmd.Wait() }() // so that it is no zombie when it has ended
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, p.output)
		}
	})
	return p
}

// lines returns those that have a word in them.
func (p *process) lines(word string) []string {
	var lines []string
	for line := range strings.Lines(p.output.String()) {
		if strings.Contains(line, word) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// value waits for the nth line with a word in it, and returns an attribute of it.
func (p *process) value(t *testing.T, word string, n int, key string) string {
	t.Helper()
	var line string
	await(t, fmt.Sprintf("line %d with %s", n, word), func() error {
		lines := p.lines(word)
		if len(lines) < n {
			return fmt.Errorf("there are %d", len(lines))
		}
		line = lines[n-1]
		return nil
	})
	for field := range strings.FieldsSeq(line) {
		if value, ok := strings.CutPrefix(field, key+"="); ok {
			return value
		}
	}
	t.Fatalf("no %s in %s", key, line)
	return ""
}

// stat returns the fields of /proc/PID/stat from the third on, the state.
func stat(pid string) []string {
	content, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
}

func startTime(t *testing.T, pid string) string {
	t.Helper()
	fields := stat(pid)
	if fields == nil {
		t.Fatalf("process %s has ended", pid)
	}
	return fields[19]
}

// isClosed says whether the other side closes a connection within some time.
func isClosed(t *testing.T, conn net.Conn, within time.Duration) bool {
	t.Helper()
	check(t, conn.SetReadDeadline(time.Now().Add(within)))
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// await waits until what returns nil.
func await(t *testing.T, what string, happens func() error) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := happens()
		if err == nil {
			return
		}
		if time.Since(start) > deadline {
			t.Fatalf("%s: not within %v: %v", what, deadline, err)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A buffer may be written and read at once.
type buffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}
