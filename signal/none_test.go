package signal

import (
	"regexp"
	"testing"

	"golang.org/x/sys/unix"
)

// The error includes the fix (S2, P3).
func TestNoTarget(t *testing.T) {
	const share = `no matching process: only podsignal's own processes are visible: set shareProcessNamespace: true on the pod (Compose: pid: "service:NAME")`
	other := &proc{pid: 7, comm: "sh", args: []string{"sh"}}
	for name, test := range map[string]struct {
		opts  Options
		procs []*proc
		also  func(*fake)
		want  string
	}{
		"S2 alone": {
			Options{}, nil, func(*fake) {}, share,
		},
		"S2 PID 1 itself": {
			Options{}, []*proc{other}, func(f *fake) { f.sys.self = 1 }, share,
		},
		"no such name": {
			Options{},
			[]*proc{other},
			func(*fake) {},
			`no matching process: no process is named "nginx": fix PROCESS, or start it`,
		},
		"no such command line": {
			Options{Cmdline: regexp.MustCompile("other")},
			[]*proc{nginx(7)},
			func(*fake) {},
			`no matching process: no process is named "nginx" with a command line that matches CMDLINE: fix PROCESS or CMDLINE, or start it`,
		},
		"P3 volume not mounted": {
			Options{Files: []string{"/volume/config"}},
			[]*proc{nginx(8)},
			func(*fake) {},
			"no matching process: nginx (pid 8) does not mount the volume that FILE is in: mount it in that container too, as a folder",
		},
		"P3 volume not mounted by any": {
			Options{Files: []string{"/volume/config"}},
			[]*proc{nginx(16), nginx(15), nginx(14), nginx(13), nginx(12), nginx(11), nginx(10), nginx(9), nginx(8)},
			func(*fake) {},
			"no matching process: nginx (pid 8) does not mount the volume that FILE is in: mount it in that container too, as a folder",
		},
		"ended while it was read": {
			Options{},
			[]*proc{nginx(7)},
			func(f *fake) { f.sys.open = ends(f, 7, f.sys.open) },
			"no matching process: nginx (pid 7) has just ended",
		},
		"another program by exec while it was read": {
			Options{},
			[]*proc{nginx(7)},
			func(f *fake) {
				open := f.sys.open
				f.sys.open = func(pid int) (int, error) {
					f.procs[pid].comm, f.procs[pid].args = "sh", nil
					return open(pid)
				}
			},
			"no matching process: nginx (pid 7) has just ended",
		},
		"ended before that": {
			Options{},
			[]*proc{nginx(7)},
			func(f *fake) {
				f.sys.open = func(int) (int, error) { return -1, unix.ESRCH }
			},
			"no matching process: nginx (pid 7) has just ended",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := podFake(t, test.procs...)
			test.also(f)
			if _, err := f.finder(test.opts).Find(t.Context()); err == nil || err.Error() != test.want {
				t.Errorf("%v\nwant %s", err, test.want)
			}
			if len(f.pidfds) != 0 {
				t.Errorf("%d pidfds are open", len(f.pidfds))
			}
		})
	}
}

func TestNoTargetButWorkers(t *testing.T) {
	f := newFake(t, child(7, 0, 0), child(8, 7, 0))
	finder := f.finder(Options{})
	only(t, finder)
	delete(f.procs, 7)
	const want = "no matching process: only workers are left of nginx, and workers are not signalled: their master has ended"
	if _, err := finder.Find(t.Context()); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
