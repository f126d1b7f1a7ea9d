package signal

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

func TestKnownTargets(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*fake, *proc)
		same   bool
	}{
		"as it was":                 {func(*fake, *proc) {}, true},
		"ignores the signal by now": {func(_ *fake, p *proc) { p.ignored, p.caught = p.caught, 0 }, true},
		"another title":             {func(_ *fake, p *proc) { p.args = []string{"nginx: reloading"} }, true},
		"another parent":            {func(_ *fake, p *proc) { p.parent = 1 }, true},
		"another name by exec":      {func(_ *fake, p *proc) { p.comm = "nginx-debug" }, true},
		"another name and title":    {func(_ *fake, p *proc) { p.comm, p.args = "sh", nil }, true},
		"restarted with the same pid": {func(f *fake, _ *proc) {
			f.procs[7] = nginx(7)
			f.procs[7].started = 10 * time.Millisecond
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nginx(7), nginx(8))
			finder := f.finder(Options{})
			before := found(t, finder)
			test.change(f, f.procs[7])
			after := found(t, finder)
			if len(before) != 2 || len(after) != 2 {
				t.Fatalf("%d targets, then %d", len(before), len(after))
			}
			changed := after[slices.IndexFunc(after, func(t *Target) bool { return t.PID == 7 })]
			if same := changed == before[0]; same != test.same {
				t.Errorf("the same target = %t", same)
			}
			if !slices.Contains(after, before[1]) {
				t.Error("the other target is not the same")
			}
			if len(f.pidfds) != 2 || f.pidfds[changed.pidfd] != f.procs[7] {
				t.Errorf("%d pidfds are open, one of them of the process: %t", len(f.pidfds), f.pidfds[changed.pidfd] == f.procs[7])
			}
		})
	}
}

func TestTargetTells(t *testing.T) {
	p := nginx(7)
	p.comm, p.started = "main", 1230*time.Millisecond
	target := only(t, newFake(t, p).finder(Options{}))
	if target.PID != 7 || target.Name != "nginx" || target.Started != 1230*time.Millisecond {
		t.Errorf("%+v", target)
	}
}

// A process that executes another program during the search is a target if its new name
// matches too.
func TestKnownByItsLatestName(t *testing.T) {
	p := nginx(7)
	f := newFake(t, p)
	open := f.sys.open
	f.sys.open = func(pid int) (int, error) {
		p.comm = "nginx-debug"
		return open(pid)
	}
	if err := only(t, f.finder(Options{})).Send(unix.SIGHUP); err != nil {
		t.Error(err)
	}
}

// The pidfd of a target is closed whatever the reason for its release.
func TestPidfdsAreClosed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*fake)
		left   int
	}{
		"all are there":        {func(*fake) {}, 2},
		"one has ended":        {func(f *fake) { delete(f.procs, 7) }, 1},
		"one is a zombie":      {func(f *fake) { f.procs[7].state = 'Z' }, 1},
		"one goes by another":  {func(f *fake) { f.procs[7].comm, f.procs[7].args = "sh", nil }, 2},
		"one became a worker":  {func(f *fake) { f.procs[7].parent = 8 }, 1},
		"one unmounted":        {func(f *fake) { f.procs[7].mounts = nil }, 1},
		"all have ended":       {func(f *fake) { clear(f.procs) }, 0},
		"all have unmounted":   {func(f *fake) { f.procs[7].mounts, f.procs[8].mounts = nil, nil }, 0},
		"one has just ended":   {func(f *fake) { f.procs[7].started++; f.sys.open = ends(f, 7, f.sys.open) }, 1},
		"list fails, all stay": {func(f *fake) { f.sys.list = func([]listed) ([]listed, error) { return nil, unix.EIO } }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			config := procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}
			f := podFake(t, mounting(7, config), mounting(8, config))
			finder := f.finder(Options{Files: []string{"/volume/config"}})
			found(t, finder)
			test.change(f)
			_, _ = finder.Find(t.Context())
			if len(f.pidfds) != test.left {
				t.Errorf("%d pidfds are open, want %d", len(f.pidfds), test.left)
			}
		})
	}
}

// What is signalled by a target that was released is not what has its descriptor by now.
func TestReleasedTarget(t *testing.T) {
	f := podFake(t, mounting(7, procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}))
	finder := f.finder(Options{Files: []string{"/volume/config"}})
	released := only(t, finder)
	f.procs[7].mounts = nil
	_, _ = finder.Find(t.Context())
	f.sys.send = func(pidfd int, _ syscall.Signal) error {
		t.Errorf("a signal was sent by pidfd %d, which is closed", pidfd)
		return nil
	}
	if err := released.Send(unix.SIGHUP); err != nil {
		t.Errorf("by its pid and start time: %v", err)
	}
}

// ends makes a process end right after its pidfd was opened.
func ends(f *fake, pid int, open func(int) (int, error)) func(int) (int, error) {
	return func(opened int) (int, error) {
		fd, err := open(opened)
		if opened == pid {
			delete(f.procs, pid)
		}
		return fd, err
	}
}

// P4: the pidfd is opened first, then what makes the process a target is read again;
// D6: signalling it later takes one read.
func TestP4Order(t *testing.T) {
	f := newFake(t, nginx(7))
	finder := f.finder(Options{})
	target := only(t, finder)
	about := func(call string) bool { return strings.HasSuffix(call, " 7") }
	calls := slices.DeleteFunc(f.calls, func(call string) bool { return !about(call) })
	if diff := cmp.Diff([]string{"stat 7", "open 7", "stat 7"}, calls); diff != "" {
		t.Errorf("Find (-want +got)\n%s", diff)
	}
	f.calls = nil
	if err := target.Send(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"status 7", "send 7"}, f.calls); diff != "" {
		t.Errorf("Send (-want +got)\n%s", diff)
	}
	f.calls = nil
	only(t, finder)
	calls = slices.DeleteFunc(f.calls, func(call string) bool { return !about(call) })
	if diff := cmp.Diff([]string{"stat 7"}, calls); diff != "" {
		t.Errorf("Find again (-want +got)\n%s", diff)
	}
}

// One warning for each start of podsignal, with the fix.
func TestP4NoPidfdIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	f := newFake(t, nginx(7), nginx(8))
	f.noPidfd = unix.ENOSYS
	finder := f.finder(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		if pids := foundPIDs(t, finder); len(pids) != 2 {
			t.Fatalf("found %d", pids)
		}
		f.procs[8].started++ // another process: it is opened too
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN") ||
		!strings.Contains(text, "kernel to 5.3 or newer") || !strings.Contains(text, "function not implemented") {
		t.Errorf("logged:\n%s", text)
	}
}
