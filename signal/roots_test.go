package signal

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// child returns a worker of nginx.
func child(pid, parent int, started time.Duration) *proc {
	p := nginx(pid)
	p.parent, p.started = parent, started
	p.args = []string{"nginx: worker process"}
	return p
}

func TestP2Roots(t *testing.T) {
	const s = time.Second
	zombie := child(7, 0, s)
	zombie.state = 'Z'
	other := &proc{pid: 8, parent: 7, comm: "sh", args: []string{"sh", "-c", "nginx"}}
	for name, test := range map[string]struct {
		procs []*proc
		want  []int
	}{
		"first of a container":                     {[]*proc{child(7, 0, s)}, []int{7}},
		"master and workers":                       {[]*proc{child(7, 0, s), child(8, 7, s), child(9, 7, s)}, []int{7}},
		"worker with a lower pid":                  {[]*proc{child(17, 0, s), child(8, 17, 2*s)}, []int{17}},
		"worker of a worker":                       {[]*proc{child(7, 0, s), child(8, 7, s), child(9, 8, s)}, []int{7}},
		"child of another program":                 {[]*proc{other, child(9, 8, s)}, []int{9}},
		"another program between":                  {[]*proc{child(7, 0, s), other, child(9, 8, 2*s)}, []int{7, 9}},
		"several, oldest first":                    {[]*proc{child(7, 0, 3*s), child(8, 0, s), child(9, 0, 2*s)}, []int{8, 9, 7}},
		"several of one age, lowest pid first":     {[]*proc{child(9, 0, s), child(7, 0, s), child(8, 0, s)}, []int{7, 8, 9}},
		"several trees":                            {[]*proc{child(7, 0, s), child(8, 7, s), child(20, 0, 2*s), child(21, 20, 2*s)}, []int{7, 20}},
		"first seen as an orphan":                  {[]*proc{child(8, 1, s)}, []int{8}},
		"child of a zombie, which matches nothing": {[]*proc{zombie, child(8, 7, s)}, []int{8}},
		"one whose first thread has ended":         {[]*proc{{pid: 7, comm: "nginx", firstEnded: true}, child(8, 7, s)}, []int{7}},
		"podsignal itself":                         {[]*proc{child(us, 0, s)}, nil},
		"child of podsignal: a validator":          {[]*proc{child(us, 0, s), child(8, us, s), child(9, 0, s)}, []int{9}},
		"grandchild of podsignal":                  {[]*proc{child(us, 0, s), {pid: 7, parent: us, comm: "sh"}, child(8, 7, s), child(9, 8, s)}, nil},
		"child of podsignal that has ended since":  {[]*proc{child(8, us, s)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, test.procs...)
			if diff := cmp.Diff(test.want, foundPIDs(t, f.finder(Options{}))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// To podsignal come orphans of every container, if it is PID 1 of a namespace that others
// share: only those of its own session were started by it.
func TestP2DescendantsOfFirst(t *testing.T) {
	const s = time.Second
	orphan, validator := child(7, 1, s), child(8, 1, s)
	orphan.session, validator.session = 7, 1
	f := newFake(t, &proc{pid: 1, session: 1, comm: "podsignal"}, orphan, validator)
	f.sys.self = 1
	if diff := cmp.Diff([]int{7}, foundPIDs(t, f.finder(Options{}))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A worker that outlives its master, as Gunicorn's do, would be killed by the signal.
func TestP2WorkerForLife(t *testing.T) {
	const s = time.Second
	f := newFake(t, child(7, 0, s), child(8, 7, 2*s))
	finder := f.finder(Options{})
	for _, step := range []struct {
		name   string
		change func()
		want   []int
	}{
		{"master and worker", func() {}, []int{7}},
		{"master has ended", func() {
			delete(f.procs, 7)
			f.procs[8].parent = 1
		}, nil},
		{"once more", func() {}, nil},
		{"another master beside it", func() { f.procs[9] = child(9, 0, 3*s) }, []int{9}},
		{"worker became a zombie", func() { f.procs[8].state = 'Z' }, []int{9}},
		{"worker's pid went to a new master", func() { f.procs[8] = child(8, 0, 4*s) }, []int{9, 8}},
	} {
		step.change()
		if diff := cmp.Diff(step.want, foundPIDs(t, finder)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step.name, diff)
		}
	}
	if len(finder.kin) != len(f.procs)-1 {
		t.Errorf("%d relations are remembered, of %d processes", len(finder.kin), len(f.procs))
	}
}

// A worker does not become a root when its parent changes its name.
func TestP2WorkerOfRenamedMaster(t *testing.T) {
	f := newFake(t, child(7, 0, time.Second), child(8, 7, time.Second))
	finder := f.finder(Options{})
	foundPIDs(t, finder)
	f.procs[7].comm, f.procs[7].args = "sh", []string{"sh"}
	if target := only(t, finder); target.PID != 7 { // it may return to its name
		t.Errorf("found %d", target.PID)
	}
	f.now += settled
	wantOnlyWorkers(t, finder)
}

// Nor does it when its parent's command line no longer matches.
func TestP2WorkerOfRetitledMaster(t *testing.T) {
	f := newFake(t, child(7, 0, time.Second), child(8, 7, time.Second))
	finder := f.finder(Options{Cmdline: regexp.MustCompile("worker")})
	only(t, finder)
	f.procs[7].args = []string{"nginx: master process"}
	only(t, finder)
	f.now += settled
	wantOnlyWorkers(t, finder)
}

func wantOnlyWorkers(t *testing.T, finder *Finder) {
	t.Helper()
	const want = "no matching process: only workers are left of nginx, and workers are not signalled: their master has ended"
	if _, err := finder.Find(t.Context()); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
