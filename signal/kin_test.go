package signal

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A step changes the processes, and says which are targets then.
type step struct {
	change func(*fake)
	want   []int
}

func asItIs(*fake) {}

// ended ends processes; their children become those of PID 1.
func ended(pids ...int) func(*fake) {
	return func(f *fake) {
		for _, pid := range pids {
			delete(f.procs, pid)
			for _, p := range f.procs {
				if p.parent == pid {
					p.parent = 1
				}
			}
		}
	}
}

// A process that goes into the background leaves a launcher, whose child is the target
// when it has ended; what a master leaves is none.
func TestP2Launcher(t *testing.T) {
	const ms = time.Millisecond
	hup := mask(unix.SIGHUP)
	member := func(pid, parent, session int) *proc {
		return &proc{pid: pid, parent: parent, session: session, comm: "nginx"}
	}
	launcher := func() *proc { return member(7, 3, 3) }
	taking := func(change func(*proc)) *proc {
		p := launcher()
		change(p)
		return p
	}
	daemon := func() *proc { return member(8, 7, 8) }
	one := func(want ...int) []step { return []step{{asItIs, []int{7}}, {ended(7), want}, {asItIs, want}} }
	for name, test := range map[string]struct {
		opts  Options
		procs []*proc
		steps []step
	}{
		"a session of its own":           {Options{}, []*proc{launcher(), daemon()}, one(8)},
		"the launcher's session":         {Options{}, []*proc{launcher(), member(8, 7, 3)}, one()},
		"the launcher leads its session": {Options{}, []*proc{member(7, 0, 7), daemon()}, one(8)},
		"leads a session from outside":   {Options{}, []*proc{member(7, 0, 0), daemon()}, one(8)},
		"two children":                   {Options{}, []*proc{launcher(), daemon(), member(9, 7, 9)}, one(8, 9)},
		"one of them stays":              {Options{}, []*proc{launcher(), daemon(), member(9, 7, 3)}, one(8)},

		"a master with a handler":  {Options{}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon()}, one()},
		"one for another signal":   {Options{}, []*proc{taking(func(p *proc) { p.caught = mask(unix.SIGUSR1) }), daemon()}, one(8)},
		"told by a URL":            {Options{Signal: -1}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon()}, one(8)},
		"ignores the signal":       {Options{}, []*proc{taking(func(p *proc) { p.caught, p.ignored = hup, hup }), daemon()}, one(8)},
		"ignores and blocks it":    {Options{}, []*proc{taking(func(p *proc) { p.blocked, p.ignored = hup, hup }), daemon()}, one(8)},
		"its own parent has ended": {Options{}, []*proc{launcher(), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].parent = 1 }, []int{7}}}},
		"handler lost by an exec":  {Options{}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].caught = 0 }, []int{7}}, {ended(7), []int{8}}}},
		"goes to the background once more": {Options{Grace: time.Second}, []*proc{taking(func(p *proc) { p.caught = hup })}, []step{
			{asItIs, []int{7}},
			{func(f *fake) { f.procs[8] = daemon(); f.now += 10 * ms }, []int{7}},
			{func(f *fake) { f.procs[7].caught, f.procs[7].blocked = 0, hup; f.now += 10 * ms }, []int{7}},
			{func(f *fake) { f.now += 500 * ms }, []int{7}},
			{func(f *fake) { f.now += 400 * ms }, []int{7}},
			{ended(7), []int{8}},
		}},
		"a launcher under another name": {Options{}, []*proc{{pid: 7, parent: 3, session: 3, comm: "nginx", args: []string{"boot"}}, {pid: 8, parent: 7, session: 8, comm: "nginx", args: []string{"web: master"}}}, []step{
			{asItIs, nil}, {ended(7), []int{8}},
		}},
		"a master under another name": {Options{}, []*proc{{pid: 7, parent: 3, session: 3, comm: "nginx", args: []string{"boot"}}, {pid: 8, parent: 7, session: 3, comm: "nginx", args: []string{"web: master"}}}, []step{
			{asItIs, nil}, {ended(7), nil},
		}},
		"a master by sigwait once more": {Options{Grace: time.Second}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon()}, []step{
			{asItIs, []int{7}},
			{func(f *fake) { f.procs[7].caught, f.procs[7].blocked = 0, hup }, []int{7}},
			{func(f *fake) { f.now += time.Second }, []int{7}},
			{func(f *fake) { f.now += 20 * ms }, []int{7}},
			{ended(7), nil},
		}},
		"handler lost for a while": {Options{}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].caught, f.procs[7].ignored = 0, hup }, []int{7}}, {ended(7), nil}}},
		"handler lost, blocks":     {Options{}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].caught, f.procs[7].blocked = 0, hup }, []int{7}}, {ended(7), []int{8}}}},
		"ignored between":          {Options{}, []*proc{taking(func(p *proc) { p.blocked = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].blocked, f.procs[7].ignored = 0, hup; f.now += 20 * ms }, []int{7}}, {func(f *fake) { f.procs[7].blocked, f.procs[7].ignored = hup, 0; f.now += 10 * ms }, []int{7}}, {ended(7), []int{8}}}},
		"handler for a moment":     {Options{Grace: 20 * ms}, []*proc{taking(func(p *proc) { p.caught, p.started = hup, time.Hour-10*ms }), daemon()}, one(8)},
		"handler, and old enough":  {Options{Grace: 20 * ms}, []*proc{taking(func(p *proc) { p.caught, p.started = hup, time.Hour-20*ms }), daemon()}, one()},
		"blocks it for a moment":   {Options{}, []*proc{taking(func(p *proc) { p.blocked = hup }), daemon()}, one(8)},
		"blocks it as two see":     {Options{}, []*proc{taking(func(p *proc) { p.blocked = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.now += 20 * ms }, []int{7}}, {ended(7), nil}}},
		"in a thread":              {Options{}, []*proc{taking(func(p *proc) { p.others = []uint64{hup} }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.now += 20 * ms }, []int{7}}, {ended(7), nil}}},
		"as two see too soon":      {Options{}, []*proc{taking(func(p *proc) { p.blocked = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.now += 10 * ms }, []int{7}}, {ended(7), []int{8}}}},
		"by two forks":             {Options{}, []*proc{taking(func(p *proc) { p.blocked = hup }), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].blocked = 0; f.now += 20 * ms }, []int{7}}, {func(f *fake) { f.procs[7].blocked = hup; f.now += 10 * ms }, []int{7}}, {ended(7), []int{8}}}},
		"threads cannot be read":   {Options{}, []*proc{launcher(), daemon()}, []step{{func(f *fake) { f.sys.threads = func(int) ([]status, error) { return nil, unix.EIO } }, []int{7}}, {ended(7), []int{8}}}},
		"the handler came later":   {Options{}, []*proc{launcher(), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].caught = hup }, []int{7}}, {ended(7), nil}}},
		"the session came later":   {Options{}, []*proc{launcher(), member(8, 7, 3)}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[8].session = 8; ended(7)(f) }, []int{8}}}},
		"a session after its end":  {Options{}, []*proc{launcher(), member(8, 7, 3)}, []step{{asItIs, []int{7}}, {ended(7), nil}, {func(f *fake) { f.procs[8].session = 8 }, []int{8}}}},
		"the launcher is a zombie": {Options{}, []*proc{launcher(), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].state, f.procs[8].parent = 'Z', 1 }, []int{8}}}},
		"its first thread ended":   {Options{}, []*proc{launcher(), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].firstEnded = true }, []int{7}}}},
		"it becomes another":       {Options{}, []*proc{launcher(), daemon()}, []step{{asItIs, []int{7}}, {func(f *fake) { f.procs[7].comm = "sh" }, []int{7}}, {func(f *fake) { f.now += settled }, nil}, {ended(7), []int{8}}}},
		"its pid is another's": {Options{}, []*proc{launcher(), daemon()}, []step{
			{asItIs, []int{7}},
			{func(f *fake) { ended(7)(f); f.procs[7] = &proc{pid: 7, comm: "sh", started: tick} }, []int{8}},
		}},

		"the target's own workers": {Options{}, []*proc{launcher(), daemon(), member(9, 8, 8)}, []step{
			{asItIs, []int{7}}, {ended(7), []int{8}}, {ended(8), nil}, {asItIs, nil},
		}},
		"workers that come later": {Options{}, []*proc{launcher(), daemon()}, []step{
			{asItIs, []int{7}}, {ended(7), []int{8}}, {func(f *fake) { f.procs[9] = member(9, 8, 9); f.procs[8].caught = hup }, []int{8}}, {ended(8), nil},
		}},
		"launcher and master end at once": {Options{}, []*proc{launcher(), func() *proc { p := daemon(); p.caught = hup; return p }(), member(9, 8, 8)}, []step{
			{asItIs, []int{7}}, {ended(7, 8), nil},
		}},
		"two forks, the second at once": {Options{}, []*proc{launcher(), member(9, 1, 8)}, []step{{asItIs, []int{7, 9}}, {ended(7), []int{9}}}},
		"two forks, seen":               {Options{}, []*proc{launcher(), daemon(), member(9, 8, 8)}, []step{{asItIs, []int{7}}, {ended(8), []int{7}}, {ended(7), []int{9}}}},
		"two forks, both end at once":   {Options{}, []*proc{launcher(), daemon(), member(9, 8, 8)}, []step{{asItIs, []int{7}}, {ended(7, 8), []int{9}}}},
		"two forks of a master": {Options{}, []*proc{taking(func(p *proc) { p.caught = hup }), daemon(), member(9, 8, 8)}, []step{
			{asItIs, []int{7}}, {ended(8), []int{7}}, {ended(7), nil},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, append(test.procs, &proc{pid: 3, session: 3, comm: "sh"}, &proc{pid: 1, comm: "pause"})...)
			switch test.opts.Signal {
			case 0:
				test.opts.Signal = unix.SIGHUP
			case -1:
				test.opts.Signal = 0
			}
			if strings.HasSuffix(name, "another name") {
				test.opts.Name = "web"
			}
			finder := f.finder(test.opts)
			for i, step := range test.steps {
				step.change(f)
				find := foundPIDs
				if i > 0 {
					find = foundNew // which comes to the same
				}
				if diff := cmp.Diff(step.want, find(t, finder)); diff != "" {
					t.Errorf("step %d (-want +got)\n%s", i+1, diff)
				}
			}
		})
	}
}

// A target that was signalled takes the signal, also if no look has seen that.
func TestP2LauncherTookTheSignal(t *testing.T) {
	const grace = time.Second
	for name, test := range map[string]struct {
		sig   unix.Signal
		state func(*proc, uint64)
		looks bool // between the signal and the end
		want  []int
	}{
		"caught":                   {unix.SIGHUP, catches, false, nil},
		"caught, seen again":       {unix.SIGHUP, catches, true, nil},
		"by sigwait":               {unix.SIGHUP, blocks, false, nil},
		"by sigwait, seen again":   {unix.SIGHUP, blocks, true, nil},
		"meant to end it, no more": {unix.SIGTERM, nothing, false, []int{8}},
	} {
		t.Run(name, func(t *testing.T) {
			master, child := nginx(7), nginx(8)
			test.state(master, mask(test.sig))
			master.started = time.Hour
			child.parent, child.session = 7, 8
			f := newFake(t, master, child)
			finder := f.finder(Options{Signal: test.sig, Grace: grace})
			target := only(t, finder)
			f.now += grace
			_ = target.Ready(test.sig) // it may have to be seen twice
			f.now += blockedFor
			if err := target.Send(test.sig); err != nil {
				t.Fatal(err)
			}
			if test.looks {
				only(t, finder)
			}
			ended(7)(f)
			if diff := cmp.Diff(test.want, foundPIDs(t, finder)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Whether a parent takes the signal is read of those alone of which it matters, and as
// little as will do.
func TestP2LauncherReads(t *testing.T) {
	master, child := nginx(7), nginx(8)
	child.parent = 7
	f := newFake(t, master, child, nginx(9))
	finder := f.finder(Options{Signal: unix.SIGHUP})
	reads := func(want ...string) {
		t.Helper()
		f.calls = nil
		foundNew(t, finder)
		var got []string
		for _, call := range f.calls {
			if strings.HasPrefix(call, "status") || strings.HasPrefix(call, "threads") {
				got = append(got, call)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	reads()
	child.session = 8
	reads("status 7")
	reads("status 7")
	master.caught = 0
	reads("status 7", "threads 7")
}

// Matches that are all children of the same program under another name are its workers.
func TestP2WorkersOfAnotherName(t *testing.T) {
	member := func(pid, parent int, comm, title string) *proc {
		return &proc{pid: pid, parent: parent, comm: comm, args: []string{title}}
	}
	const alone = "no target: web is the name of workers alone: their parent (pid 7) is the same program under another name"
	for name, test := range map[string]struct {
		cmdline string
		procs   []*proc
		want    string // the pids of the targets, or the error
	}{
		"workers of one": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster 1.2 (x)"), member(8, 7, "ruby", "web: 0"), member(9, 7, "ruby", "web: 1")},
			alone + ": set PROCESS=cluster",
		},
		"one worker": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster"), member(8, 7, "ruby", "web: 0")},
			alone + ": set PROCESS=cluster",
		},
		"the name is that of others too": {
			"",
			[]*proc{member(7, 3, "ruby", "ruby"), member(8, 7, "ruby", "web: 0"), member(9, 3, "ruby", "ruby")},
			alone + ": set PROCESS=ruby",
		},
		"its workers have that name too": {
			"",
			[]*proc{{pid: 7, parent: 3, comm: "ruby", args: []string{"ruby", "/srv/boot.rb"}}, member(8, 7, "ruby", "web: 0"), {pid: 9, parent: 3, comm: "ruby", args: []string{"ruby", "other.rb"}}},
			alone + `: set PROCESS=ruby and CMDLINE=boot\.rb`,
		},
		"CMDLINE is set": {
			"^web",
			[]*proc{member(7, 3, "ruby", "cluster 1.2"), member(8, 7, "ruby", "web: 0")},
			alone + ": set PROCESS=cluster and unset CMDLINE",
		},
		"of two": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster"), member(8, 7, "ruby", "web: 0"), member(10, 3, "ruby", "cluster"), member(9, 10, "ruby", "web: 1")},
			"8 9",
		},
		"of another program": {
			"",
			[]*proc{member(7, 3, "init", "init"), member(8, 7, "ruby", "web: 0"), member(9, 7, "ruby", "web: 1")},
			"8 9",
		},
		"only some are of the same": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster"), member(8, 7, "ruby", "web: 0"), member(9, 7, "main", "web: 1")},
			"8 9",
		},
		"CMDLINE leaves out the parent": {
			"0$",
			[]*proc{member(7, 3, "ruby", "web: master"), member(8, 7, "ruby", "web: 0")},
			"8",
		},
		"the parent is the target": {
			"",
			[]*proc{member(7, 3, "ruby", "web 1.2 (x)"), member(8, 7, "ruby", "web: 0")},
			"7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, append(test.procs, &proc{pid: 3, comm: "sh"})...)
			opts := Options{Name: "web", Signal: unix.SIGHUP}
			if test.cmdline != "" {
				opts.Cmdline = regexp.MustCompile(test.cmdline)
			}
			finder := f.finder(opts)
			for range 3 {
				targets, err := finder.Find(t.Context())
				var got []string
				for _, target := range targets {
					got = append(got, fmt.Sprint(target.PID))
				}
				if err != nil {
					got = []string{err.Error()}
				}
				if strings.Join(got, " ") != test.want {
					t.Fatalf("%s\nwant %s", got, test.want)
				}
			}
			if !strings.HasPrefix(test.want, alone) {
				return
			}
			ended(7)(f)
			const left = "no target: of web only workers are left, which are not signalled: their master has ended"
			for what, change := range map[string]func(){
				"after its end":     func() {},
				"its pid is reused": func() { f.procs[7] = &proc{pid: 7, comm: "ruby", args: []string{"other"}, started: tick} },
			} {
				change()
				if _, err := finder.Find(t.Context()); !errors.Is(err, ErrNoTarget) || err.Error() != left {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// Check says of targets that nobody is left who has started them: a look alone cannot tell
// whether they are masters or workers.
func TestOrphans(t *testing.T) {
	for name, test := range map[string]struct {
		parent, session int
		want            bool
	}{
		"first of a container":           {0, 8, false},
		"first, its session is outside":  {0, 0, false},
		"child of a shell":               {3, 3, false},
		"child that leads a session":     {3, 8, false},
		"child of PID 1, same session":   {1, 1, false},
		"left to PID 1, its own session": {1, 8, true},
		"left to PID 1, another's":       {1, 4, true},
		"left to a subreaper, another's": {3, 4, true},
		"of a parent that is not seen":   {5, 4, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := nginx(8)
			p.parent, p.session = test.parent, test.session
			f := newFake(t, p, &proc{pid: 1, session: 1, comm: "pause"}, &proc{pid: 3, session: 3, comm: "sh"})
			survey := f.survey(Options{}, unix.SIGHUP)
			if len(survey.Processes) != 1 || survey.Processes[0].Role != RoleTarget {
				t.Fatalf("%+v", survey)
			}
			if got := survey.Processes[0].Orphan; got != test.want {
				t.Errorf("an orphan: %t", got)
			}
		})
	}
}
