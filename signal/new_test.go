package signal

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// foundBy returns the pids of what a search finds, which may be nothing.
func foundBy(t *testing.T, find func(context.Context) ([]*Target, error)) (pids []int) {
	t.Helper()
	targets, err := find(t.Context())
	if (len(targets) == 0) != errors.Is(err, ErrNoTarget) || len(targets) > 0 && err != nil {
		t.Fatalf("%d targets and the error %v", len(targets), err)
	}
	for _, target := range targets {
		pids = append(pids, target.PID)
	}
	return pids
}

func foundNew(t *testing.T, finder *Finder) []int {
	t.Helper()
	return foundBy(t, finder.FindNew)
}

// Of a known process FindNew reads the name, and the command line of one that may not have its
// final title yet, at twice its age each time. FindStarted reads neither.
func TestSearchReads(t *testing.T) {
	config := procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}
	titled, young := mounting(8, config), &proc{pid: 10, comm: "sh", args: []string{"sh"}}
	titled.comm = "main"
	young.started = time.Hour - 10*time.Second
	f := podFake(t, mounting(7, config), titled, &proc{pid: 9, comm: "sh", args: []string{"sh"}}, young)
	mounts := f.sys.mounts
	f.sys.mounts = func(pid string) ([]procfs.Mount, error) {
		f.calls = append(f.calls, "mounts "+pid)
		return mounts(pid)
	}
	finder := f.finder(Options{Files: []string{"/volume/config"}})
	reads := func(find func(context.Context) ([]*Target, error), want ...string) {
		t.Helper()
		f.calls = nil
		if pids := foundBy(t, find); !slices.Equal(pids, []int{7, 8}) {
			t.Fatalf("found %d", pids)
		}
		always := []string{"stat 2", "stat 7", "stat 8", "mounts self"}
		var calls []string
		calls = append(calls, slices.DeleteFunc(f.calls, func(call string) bool { return slices.Contains(always, call) })...)
		slices.Sort(calls)
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	foundPIDs(t, finder)
	reads(finder.FindStarted)
	reads(finder.FindNew, "comm 10", "comm 9")
	f.now += 10*time.Second - tick
	reads(finder.FindNew, "comm 10", "comm 9")
	f.now += tick // it is twice as old
	reads(finder.FindStarted)
	reads(finder.FindNew, "cmdline 10", "comm 10", "comm 9", "stat 10")
	f.now += 10 * time.Second
	reads(finder.FindNew, "comm 10", "comm 9")
	f.now += 10 * time.Second
	reads(finder.FindNew, "cmdline 10", "comm 10", "comm 9", "stat 10")
	f.now += 20 * time.Second // a minute old
	reads(finder.FindNew, "cmdline 10", "comm 10", "comm 9", "stat 10")
	f.now += time.Hour
	reads(finder.FindNew, "comm 10", "comm 9")
	f.procs[11] = &proc{pid: 11, comm: "sh", started: f.now}
	reads(finder.FindStarted, "cmdline 11", "stat 11")
	reads(finder.FindStarted)
	f.procs[9].comm = "bash" // by an exec
	f.now += tick
	reads(finder.FindStarted)
	reads(finder.FindNew, "cmdline 11", "cmdline 9", "comm 10", "comm 11", "comm 9", "stat 11", "stat 9")
	reads(finder.Find, "cmdline 10", "cmdline 11", "cmdline 8", "cmdline 9", "mounts 7", "mounts 8", "stat 10", "stat 11", "stat 9")
}

// What a search misses, the next that reads more finds.
func TestSearchFinds(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*fake)
		started []int
		names   []int
		whole   []int
	}{
		"as it was":               {func(*fake) {}, []int{7}, []int{7}, []int{7}},
		"a new one":               {func(f *fake) { f.procs[10] = nginx(10) }, []int{7, 10}, []int{7, 10}, []int{7, 10}},
		"one by an exec":          {func(f *fake) { f.procs[8].comm = "nginx" }, []int{7}, []int{7, 8}, []int{7, 8}},
		"for now after an exec":   {func(f *fake) { f.procs[7].comm, f.procs[7].args = "sh", nil }, []int{7}, []int{7}, []int{7}},
		"ended":                   {func(f *fake) { delete(f.procs, 7) }, nil, nil, nil},
		"a zombie":                {func(f *fake) { f.procs[7].state = 'Z' }, nil, nil, nil},
		"a pid that is another's": {func(f *fake) { f.procs[8] = nginx(8); f.procs[8].started = tick }, []int{7, 8}, []int{7, 8}, []int{7, 8}},
		"another's, of the same name": {func(f *fake) {
			f.procs[8] = &proc{pid: 8, comm: "sh", args: []string{"nginx: master"}, started: tick}
		}, []int{7, 8}, []int{7, 8}, []int{7, 8}},
		"a child of another by now": {func(f *fake) { f.procs[8].comm, f.procs[7].parent = "nginx", 8 }, []int{8}, []int{8}, []int{8}},
		"a child of one by an exec": {func(f *fake) {
			f.procs[8].comm = "nginx"
			f.procs[10] = &proc{pid: 10, comm: "nginx", parent: 8}
		}, []int{7, 8}, []int{7, 8}, []int{7, 8}},
		"a child of one by its title": {func(f *fake) {
			f.procs[8].args = []string{"nginx: master"}
			f.procs[10] = &proc{pid: 10, comm: "sh", args: []string{"nginx: worker"}, parent: 8}
		}, []int{7, 8}, []int{7, 8}, []int{7, 8}},
		"a title of one just begun": {func(f *fake) {
			f.procs[9].args = []string{"nginx: master"}
			f.now += time.Second
		}, []int{7}, []int{7, 9}, []int{7, 9}},
		"a title of one that is old": {func(f *fake) { f.procs[8].args = []string{"nginx: master"} }, []int{7}, []int{7}, []int{7, 8}},
		"an exec where inodes are unknown": {func(f *fake) {
			f.noInodes = true
			f.procs[8].comm = "nginx"
		}, []int{7, 8}, []int{7, 8}, []int{7, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := &proc{pid: 9, comm: "sh", args: []string{"sh"}, started: time.Hour - time.Second}
			f := newFake(t, nginx(7), &proc{pid: 8, comm: "sh", args: []string{"sh"}}, begun)
			finder := f.finder(Options{})
			only(t, finder)
			test.change(f)
			for _, search := range []struct {
				name string
				find func(context.Context) ([]*Target, error)
				want []int
			}{{"FindStarted", finder.FindStarted, test.started}, {"FindNew", finder.FindNew, test.names}, {"Find", finder.Find, test.whole}} {
				if diff := cmp.Diff(search.want, foundBy(t, search.find)); diff != "" {
					t.Errorf("%s (-want +got)\n%s", search.name, diff)
				}
				if len(finder.known) != len(f.procs) {
					t.Errorf("%d processes are remembered, there are %d", len(finder.known), len(f.procs))
				}
			}
		})
	}
}

// P2: what podsignal has started is no target, though its parent is not the one that was known.
func TestP2DescendsByAnotherParent(t *testing.T) {
	const s = time.Second
	started := func(pid, parent int, comm string) *proc {
		return &proc{pid: pid, parent: parent, session: 1, comm: comm, started: time.Duration(pid) * s}
	}
	f := newFake(t, started(1, 0, "podsignal"), started(20, 1, "sh"), started(21, 20, "sh"))
	f.sys.self = 1
	finder := f.finder(Options{})
	foundPIDs(t, finder)
	delete(f.procs, 20)
	f.procs[21].parent = 1 // as PID 1 podsignal gets the orphans
	f.procs[22] = started(22, 21, "nginx")
	if pids := foundBy(t, finder.FindStarted); pids != nil {
		t.Errorf("found %d", pids)
	}
}

// P2: nor is it when the one between them has another parent by now.
func TestP2DescendsByAnotherAncestor(t *testing.T) {
	started := func(pid, parent int, comm string) *proc {
		return &proc{pid: pid, parent: parent, comm: comm, started: time.Duration(pid) * time.Second}
	}
	f := newFake(t, started(19, us, "sh"), started(20, 19, "sh"))
	finder := f.finder(Options{})
	foundPIDs(t, finder)
	delete(f.procs, 19)
	f.procs[20].parent = us // what a validator leaves behind comes to podsignal
	f.procs[21], f.procs[22] = started(21, 20, "sh"), started(22, 21, "nginx")
	if pids := foundBy(t, finder.FindStarted); pids != nil {
		t.Errorf("found %d", pids)
	}
}

// A search among many processes ends when podsignal does.
func TestSearchIsCancelled(t *testing.T) {
	f := newFake(t, nginx(7))
	finder := f.finder(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if targets, err := finder.Find(ctx); !errors.Is(err, context.Canceled) || targets != nil {
		t.Errorf("%v, %v", targets, err)
	}
}

// Find reads podsignal's own mounts each time.
func TestFindReadsOwnMounts(t *testing.T) {
	config := procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}
	f := podFake(t, mounting(7, config), nginx(8))
	ours := f.ours
	f.ours = ours[:1]
	finder := f.finder(Options{Files: []string{"/volume/config"}})
	if pids := foundPIDs(t, finder); !slices.Equal(pids, []int{7, 8}) {
		t.Fatalf("found %d", pids)
	}
	f.ours = ours
	if pids := foundPIDs(t, finder); !slices.Equal(pids, []int{7}) {
		t.Errorf("with the volume: found %d", pids)
	}
}

// The first search is whole with either, and both return the same targets.
func TestFindNewFirst(t *testing.T) {
	config := procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}
	f := podFake(t, mounting(7, config), nginx(8))
	finder := f.finder(Options{Files: []string{"/volume/config"}})
	if pids := foundNew(t, finder); !slices.Equal(pids, []int{7}) {
		t.Fatalf("found %d", pids)
	}
	before := only(t, finder)
	targets, err := finder.FindNew(t.Context())
	if err != nil || targets[0] != before {
		t.Errorf("another target, %v", err)
	}
}

// If a command line is unreadable for now, a target is not forgotten, and a process is not
// misjudged for good.
func TestFindTransientError(t *testing.T) {
	titled := nginx(8)
	titled.comm = "main"
	f := newFake(t, nginx(7), titled)
	finder := f.finder(Options{})
	before := found(t, finder)
	cmdline := f.sys.cmdline
	f.sys.cmdline = func(int) ([]string, error) { return nil, unix.EMFILE }
	if targets, err := finder.Find(t.Context()); !errors.Is(err, unix.EMFILE) || targets != nil {
		t.Errorf("%v, %v", targets, err)
	}
	if err := before[1].Send(unix.SIGHUP); !errors.Is(err, unix.EMFILE) {
		t.Errorf("Send: %v", err)
	}
	f.sys.cmdline = cmdline
	if after := found(t, finder); !slices.Equal(after, before) {
		t.Error("other targets")
	}
}

// A new target that is unreadable now is found later; the others are unchanged.
func TestAdoptTransientError(t *testing.T) {
	f := newFake(t, nginx(8))
	finder := f.finder(Options{})
	before := only(t, finder)
	f.procs[7], f.procs[9] = nginx(7), nginx(9)
	read, reads := f.sys.stat, 0
	f.sys.stat = func(pid int) (stat, error) {
		if pid == 9 {
			reads++
		}
		if reads == 2 { // after its pidfd was opened
			return stat{}, unix.EMFILE
		}
		return read(pid)
	}
	if targets, err := finder.Find(t.Context()); !errors.Is(err, unix.EMFILE) || targets != nil {
		t.Errorf("%v, %v", targets, err)
	}
	if len(f.pidfds) != 1 || len(finder.targets) != 1 {
		t.Errorf("%d pidfds and %d targets, want the one that was known", len(f.pidfds), len(finder.targets))
	}
	after := found(t, finder)
	if len(after) != 3 || !slices.Contains(after, before) || len(f.pidfds) != 3 {
		t.Errorf("%d targets and %d pidfds", len(after), len(f.pidfds))
	}
}
