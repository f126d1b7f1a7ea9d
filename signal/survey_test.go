package signal

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

var (
	volumeMount = procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"}
	staleMount  = procfs.Mount{Device: "254:1", Root: configMap + "/..2026_11_20_07_17_43.1/nginx.conf//deleted", Point: "/nginx.conf"}
)

// The tree as podsignal sees it, and of a target all that a signal would meet.
func TestSurvey(t *testing.T) {
	master, worker, stranger := mounting(7, volumeMount, staleMount), mounting(8, volumeMount), nginx(9)
	worker.parent, worker.uid = 7, 101
	f := podFake(t, master, worker, stranger)
	got, err := f.finder(Options{Files: []string{"/volume/config", "/volume/config/nginx.conf"}}).survey(t.Context(), unix.SIGHUP)
	if err != nil {
		t.Fatal(err)
	}
	want := Survey{
		UID: f.sys.uid, InSight: 4, Shared: true,
		Processes: []Process{
			{
				PID: 7, Name: "nginx", Role: RoleTarget, Handling: Catches,
				Mounts: []Mounted{{"/volume/config", []string{"/etc/nginx"}, []SubPath{{"/nginx.conf", KindSubPath, true}}}},
			},
			{PID: 8, Parent: 7, UID: 101, Name: "nginx", Role: RoleWorker},
			{PID: 9, Name: "nginx", Role: RoleLeftOut},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateErrors(), cmpopts.IgnoreUnexported(Near{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(master.got) != 1 || master.got[0] != 0 || len(worker.got)+len(stranger.got) > 0 {
		t.Errorf("sent: %v, %v, %v; want signal 0 to the target alone", master.got, worker.got, stranger.got)
	}
}

func TestSurveyHandling(t *testing.T) {
	hup := mask(unix.SIGHUP)
	for name, test := range map[string]struct {
		change  func(*proc)
		want    Handling
		refused bool
	}{
		"catches":                 {func(*proc) {}, Catches, false},
		"dies":                    {func(p *proc) { p.caught = 0 }, Dies, true},
		"ignores":                 {func(p *proc) { p.caught, p.ignored = 0, hup }, Ignores, true},
		"blocks":                  {func(p *proc) { p.caught, p.blocked = 0, hup }, Blocks, false},
		"blocks in other threads": {func(p *proc) { p.caught, p.others = 0, []uint64{0, hup} }, Blocks, false},
		"PID 1":                   {func(p *proc) { p.caught, p.innermost = 0, 1 }, Drops, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := nginx(7)
			test.change(p)
			f := newFake(t, p)
			s, err := f.finder(Options{}).survey(t.Context(), unix.SIGHUP)
			if err != nil || len(s.Processes) != 1 {
				t.Fatalf("%+v, %v", s, err)
			}
			if got := s.Processes[0]; got.Handling != test.want || (got.Refusal != nil) != test.refused {
				t.Errorf("%q, %v; want %q", got.Handling, got.Refusal, test.want)
			}
		})
	}
}

// S1 and S2, and a target that ends while it is looked at.
func TestSurveyTrouble(t *testing.T) {
	survey := func(f *fake, opts Options) Survey {
		t.Helper()
		s, err := f.finder(opts).survey(t.Context(), unix.SIGHUP)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	f := newFake(t, nginx(7))
	f.denied = unix.EPERM
	if s := survey(f, Options{}); !errors.Is(s.Processes[0].Denied, unix.EPERM) || s.Err != nil {
		t.Errorf("not permitted: %+v", s)
	}

	f = newFake(t, nginx(7))
	send := f.sys.send
	f.sys.send = func(fd int, sig unix.Signal) error {
		delete(f.procs, 7)
		return send(fd, sig)
	}
	if s := survey(f, Options{}); len(s.Processes) != 0 {
		t.Errorf("ended: %+v", s)
	}

	f = newFake(t, &proc{pid: 1, comm: "podsignal"}, &proc{pid: 3, comm: "sh"})
	if s := survey(f, Options{}); s.Shared || !errors.Is(s.Err, ErrNoTarget) || s.Near != nil {
		t.Errorf("beside podsignal as PID 1: %+v", s)
	}

	f = newFake(t, &proc{pid: 1, comm: "pause"}, nginx(8), nginx(7))
	s := survey(f, Options{Name: "ngin"})
	want := []Near{{PID: 7, Name: "nginx", Why: "one letter away"}}
	if diff := cmp.Diff(want, s.Near, cmpopts.IgnoreUnexported(Near{})); diff != "" || !s.Shared {
		t.Errorf("%+v (-want +got)\n%s", s, diff)
	}
}

func TestLookClosesPidfds(t *testing.T) {
	f := newFake(t, nginx(7))
	finder := f.finder(Options{})
	if _, err := finder.survey(t.Context(), unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := finder.adopt(nil); err != nil {
		t.Fatal(err)
	}
	if len(f.pidfds) != 0 {
		t.Errorf("%d pidfds are open", len(f.pidfds))
	}
}

func TestRuntime(t *testing.T) {
	for name, test := range map[string]struct {
		st   status
		args []string
		want string
	}{
		"Go":                {status{comm: "prometheus", catch: 0xfffffffd7fc1feff}, nil, "Go"},
		"Java":              {status{comm: "java"}, []string{"java", "-jar", "app.jar"}, "Java"},
		"Java, by argv[0]":  {status{comm: "main"}, []string{"/opt/jdk/bin/java"}, "Java"},
		"Java, embedded":    {status{comm: "jsvc"}, []string{"jsvc", "-lib=/opt/jdk/lib/server/libjvm.so"}, "Java"},
		"Node":              {status{comm: "node"}, []string{"node", "app.js"}, "Node"},
		"Node, by argv[0]":  {status{comm: "MainThread"}, []string{"/usr/bin/node", "app.js"}, "Node"},
		"neither":           {status{comm: "nginx", catch: 0x198016a07}, []string{"nginx"}, ""},
		"without arguments": {status{comm: "nginx"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := runtimeOf(test.st, test.args); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
