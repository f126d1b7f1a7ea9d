package signal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

func TestRealP1(t *testing.T) {
	for name, pattern := range map[string]string{
		"short":           "a%s",
		"14 bytes":        "six-by%s",
		"15 bytes":        "7-bytes%s",
		"16 bytes":        "8--bytes%s",
		"long":            "a-script-that-has-%s-in-its-name",
		"like a status":   "\n\\) (%s:\t",
		"the same, cut":   "\n\\) (%s:\t\\ \n \\",
		"begin is common": "%s-master",
	} {
		t.Run(name, func(t *testing.T) {
			name := unique(pattern)
			p := script(t, name, scriptTraps)
			target := only(t, finderOf(name))
			if target.PID != p.Process.Pid {
				t.Fatalf("found %d, want %d", target.PID, p.Process.Pid)
			}
			if err := target.Send(unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			p.trapped()
			for _, other := range []string{name[:len(name)-1], name[1:], name + "x", strings.ToUpper(name) + "A"} {
				if pids := foundPIDs(t, finderOf(other)); pids != nil {
					t.Errorf("%q was found: %d", other, pids)
				}
			}
		})
	}
}

// Images with monitoring agents set the variable; here it points to a folder without
// processes.
func TestRealP1HostProc(t *testing.T) {
	t.Setenv("HOST_PROC", t.TempDir())
	name := unique("a-script-that-has-%s-in-its-name")
	p := script(t, name, scriptTraps)
	if target := only(t, finderOf(name)); target.PID != p.Process.Pid {
		t.Errorf("found %d, want %d", target.PID, p.Process.Pid)
	}
}

func TestRealP2Workers(t *testing.T) {
	name := unique("a%s")
	// The worker is the same script in a process of its own, as after a fork.
	p := script(t, name, "exec 3<&0\n(echo ready; read -r line <&3) &\nwait\n")
	finder := finderOf(name)
	if target := only(t, finder); target.PID != p.Process.Pid {
		t.Fatalf("found %d, want the master %d", target.PID, p.Process.Pid)
	}
	if len(finder.kin) != 2 {
		t.Fatalf("%d relations", len(finder.kin))
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	_, err := finder.Find(t.Context())
	if !errors.Is(err, ErrNoTarget) || !strings.Contains(err.Error(), "only workers are left") {
		t.Errorf("after its master's end: %v", err)
	}
}

func TestRealP2Zombie(t *testing.T) {
	name := unique("a%s")
	p := script(t, name, "echo ready\nread -r line\n")
	finder := finderOf(name)
	target := only(t, finder)
	p.tell("end")
	until(t, "the script is a zombie", func() bool {
		st, err := readStat(p.Process.Pid)
		return err == nil && st.state == 'Z'
	})
	if err := target.Send(unix.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("Send: %v, want ErrGone", err)
	}
	for _, finder := range []*Finder{finder, finderOf(name)} {
		if pids := foundPIDs(t, finder); pids != nil {
			t.Errorf("found %d", pids)
		}
	}
}

// A process whose first thread has ended lives as long as another thread does. That one is
// read instead.
func TestRealP2FirstThreadEnded(t *testing.T) {
	name := unique("a-program-that-has-%s-in-its-name")
	p := goProgram(t, name, "first ends")
	finder := realFinder(Options{Name: name, Cmdline: regexp.MustCompile(name), Files: []string{"/"}})
	target := only(t, finder)
	if target.PID != p.Process.Pid || target.Ended() || reported(finder) {
		t.Fatalf("found %d, want %d; ended: %t", target.PID, p.Process.Pid, target.Ended())
	}
	if err := target.Send(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.says("HUP")
	survey, err := finder.survey(t.Context(), unix.SIGHUP)
	if err != nil || len(survey.Processes) != 1 || survey.Processes[0].Unseen != nil || survey.Processes[0].Handling != Catches {
		t.Errorf("%+v, %v", survey, err)
	}
	threads, err := readThreads(p.Process.Pid)
	if err != nil || slices.ContainsFunc(threads, func(st status) bool { return dead(st.state) }) {
		t.Errorf("dead ones among the threads: %+v, %v", threads, err)
	}
	only(t, finder)
	p.in.Close()
	select {
	case <-finder.Ended():
	case <-time.After(patience):
		t.Fatal("its end is not reported")
	}
	if err := target.Send(unix.SIGHUP); !errors.Is(err, ErrGone) || !target.Ended() {
		t.Errorf("after its end: %v", err)
	}
}

func TestRealP4NotItself(t *testing.T) {
	self, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if pids := foundPIDs(t, NewFinder(Options{Name: self.comm, Log: slog.New(slog.DiscardHandler)})); slices.Contains(pids, os.Getpid()) {
		t.Errorf("found %d, which is this test", pids)
	}
}

// D4 compares start times with the time of a change.
func TestRealStartTime(t *testing.T) {
	name := unique("a%s")
	before := procfs.SinceBoot().Truncate(tick)
	script(t, name, scriptTraps)
	after := procfs.SinceBoot()
	if target := only(t, finderOf(name)); target.Started < before || target.Started > after {
		t.Errorf("started at %v, want from %v to %v", target.Started, before, after)
	}
}

// /proc and the system calls agree about this process.
func TestRealProc(t *testing.T) {
	pid := os.Getpid()
	if st, err := readStat(pid); err != nil || st.parent != os.Getppid() || st.ended() || st.started > procfs.SinceBoot() {
		t.Errorf("stat: %+v, %v", st, err)
	}
	st, err := readStatus(procPath(pid, "status"))
	if err != nil || st.uid != os.Getuid() || st.innermost != pid || st.catch&mask(unix.SIGSEGV) == 0 {
		t.Errorf("status: %+v, %v", st, err)
	}
	if sys := newSystem(); sys.self != pid || sys.uid != os.Geteuid() {
		t.Errorf("self %d, uid %d", sys.self, sys.uid)
	}
	// The runtime's monitor has a thread of its own in every Go program.
	if threads, err := readThreads(pid); err != nil || len(threads) < 2 {
		t.Errorf("%d threads, %v", len(threads), err)
	}
	mounts, err := readMounts("self")
	if m, ok := under(mounts, "/proc/self"); err != nil || !ok || !within("/proc", m.Point) {
		t.Errorf("mounts: %+v, %v", m, err)
	}
	if same, err := readMounts(fmt.Sprint(pid)); err != nil || !slices.Equal(same, mounts) {
		t.Errorf("mounts by pid: %+v, %v", same, err)
	}
}

func TestRealIsLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nowhere", dir+"/..data"); err != nil {
		t.Fatal(err)
	}
	isLink := newSystem().isLink
	for path, want := range map[string]bool{dir + "/..data": true, dir: false, dir + "/none": false} {
		if isLink(path) != want {
			t.Errorf("%s is a link: %t", path, !want)
		}
	}
}

// The errno differs between a process that ends between open and read, and one that ended
// before.
func TestRealErrGoneWithin(t *testing.T) {
	p := script(t, unique("a%s"), scriptTraps)
	stat, err := os.Open(procPath(p.Process.Pid, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	defer stat.Close()
	_ = p.Process.Kill()
	_ = p.Wait()
	if b, err := readProc(fmt.Sprintf("/proc/self/fd/%d", stat.Fd()), make([]byte, 512), false); !errors.Is(err, errGone) {
		t.Errorf("read %q, %v; want errGone", b, err)
	}
}

func TestRealErrGone(t *testing.T) {
	const none = 1<<22 + 1 // above any pid (proc_sys_kernel(5), pid_max)
	_, stat := readStat(none)
	_, status := readStatus(procPath(none, "status"))
	_, mounts := readMounts(fmt.Sprint(none))
	for what, err := range map[string]error{"stat": stat, "status": status, "mountinfo": mounts} {
		if !errors.Is(err, errGone) || !strings.Contains(err.Error(), fmt.Sprintf("reading /proc/%d/%s", none, what)) {
			t.Errorf("%s: %v, want errGone and the path", what, err)
		}
	}
	if threads, err := readThreads(none); len(threads) != 0 || err != nil {
		t.Errorf("threads: %+v, %v", threads, err)
	}
}
