package signal

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// foundNew returns the pids of what FindNew finds; none is no failure.
func foundNew(t *testing.T, finder *Finder) (pids []int) {
	t.Helper()
	targets, err := finder.FindNew(t.Context())
	if (len(targets) == 0) != errors.Is(err, ErrNoTarget) || len(targets) > 0 && err != nil {
		t.Fatalf("FindNew: %d targets and the error %v", len(targets), err)
	}
	for _, target := range targets {
		pids = append(pids, target.PID)
	}
	return pids
}

// Of what is known nothing is read but stat, as long as it is old enough to have the
// title that it keeps.
func TestFindNewReads(t *testing.T) {
	config := procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}
	titled, young := mounting(8, config), &proc{pid: 10, comm: "sh", args: []string{"sh"}}
	titled.comm = "main"
	young.started = time.Hour - settled + tick
	f := podFake(t, mounting(7, config), titled, &proc{pid: 9, comm: "sh", args: []string{"sh"}}, young)
	mounts := f.sys.mounts
	f.sys.mounts = func(pid string) ([]procfs.Mount, error) {
		f.calls = append(f.calls, "mounts "+pid)
		return mounts(pid)
	}
	finder := f.finder(Options{Files: []string{"/volume/config"}})
	reads := func(find func() []int, want ...string) {
		t.Helper()
		f.calls = nil
		if pids := find(); !slices.Equal(pids, []int{7, 8}) {
			t.Fatalf("found %d", pids)
		}
		var calls []string
		calls = append(calls, slices.DeleteFunc(f.calls, func(call string) bool {
			return call == "mounts self" || strings.HasPrefix(call, "stat ")
		})...)
		slices.Sort(calls)
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Errorf("beside stat (-want +got)\n%s", diff)
		}
	}
	whole := func() []int { return foundPIDs(t, finder) }
	again := func() []int { return foundNew(t, finder) }
	whole()
	reads(again, "cmdline 10")
	f.now += tick
	reads(again)
	f.procs[11] = &proc{pid: 11, comm: "sh", started: f.now}
	reads(again, "cmdline 11")
	f.procs[9].comm = "bash" // by an exec
	reads(again, "cmdline 11", "cmdline 9")
	reads(again, "cmdline 11")
	reads(whole, "cmdline 10", "cmdline 11", "cmdline 8", "cmdline 9", "mounts 7", "mounts 8")
}

func TestFindNewFinds(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*fake)
		want   []int
		whole  []int // what Find finds then; nil: the same
	}{
		"as it was":               {func(*fake) {}, []int{7}, nil},
		"a new one":               {func(f *fake) { f.procs[10] = nginx(10) }, []int{7, 10}, nil},
		"one by an exec":          {func(f *fake) { f.procs[8].comm = "nginx" }, []int{7, 8}, nil},
		"for now after an exec":   {func(f *fake) { f.procs[7].comm, f.procs[7].args = "sh", nil }, []int{7}, nil},
		"ended":                   {func(f *fake) { delete(f.procs, 7) }, nil, nil},
		"a zombie":                {func(f *fake) { f.procs[7].state = 'Z' }, nil, nil},
		"a pid that is another's": {func(f *fake) { f.procs[8] = nginx(8); f.procs[8].started = tick }, []int{7, 8}, nil},
		"another's, of the same name": {func(f *fake) {
			f.procs[8] = &proc{pid: 8, comm: "sh", args: []string{"nginx: master"}, started: tick}
		}, []int{7, 8}, nil},
		"a child of another by now":  {func(f *fake) { f.procs[8].comm, f.procs[7].parent = "nginx", 8 }, []int{8}, nil},
		"a title of one just begun":  {func(f *fake) { f.procs[9].args = []string{"nginx: master"} }, []int{7, 9}, nil},
		"a title of one that is old": {func(f *fake) { f.procs[8].args = []string{"nginx: master"} }, []int{7}, []int{7, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := &proc{pid: 9, comm: "sh", args: []string{"sh"}, started: time.Hour - time.Second}
			f := newFake(t, nginx(7), &proc{pid: 8, comm: "sh", args: []string{"sh"}}, begun)
			finder := f.finder(Options{})
			only(t, finder)
			test.change(f)
			if diff := cmp.Diff(test.want, foundNew(t, finder)); diff != "" {
				t.Errorf("FindNew (-want +got)\n%s", diff)
			}
			if test.whole == nil {
				test.whole = test.want
			}
			if diff := cmp.Diff(test.whole, foundPIDs(t, finder)); diff != "" {
				t.Errorf("Find (-want +got)\n%s", diff)
			}
			if len(finder.known) != len(f.procs) {
				t.Errorf("%d processes are remembered, there are %d", len(finder.known), len(f.procs))
			}
		})
	}
}

// What podsignal mounts itself Find reads each time.
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

// The first look is whole, whichever it is, and targets are the same for both.
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

// A command line that cannot be read now is no reason to forget a target, or to take
// a process for another for good.
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

// A new target that cannot be read now is found later; the others stay as they are.
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
