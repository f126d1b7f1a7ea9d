package signal

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// A hint that is set as it is makes its process a target.
func TestNear(t *testing.T) {
	args := func(args ...string) []string { return args }
	wrong := regexp.MustCompile("wrong")
	for name, test := range map[string]struct {
		process string // PROCESS
		cmdline *regexp.Regexp
		comm    string
		args    []string

		near, pattern, why string
	}{
		"the name itself":            {"nginx", wrong, "nginx", args("nginx"), "nginx", "", "its command line does not match CMDLINE"},
		"the title itself":           {"nginx", wrong, "main", args("nginx: master process"), "nginx", "", "its command line does not match CMDLINE"},
		"another case":               {"Nginx", nil, "nginx", args("nginx"), "nginx", "", "it differs in case"},
		"another letter":             {"ngimx", nil, "nginx", args("nginx"), "nginx", "", "it differs by one letter"},
		"a letter less":              {"ngnx", nil, "nginx", args("nginx"), "nginx", "", "it differs by one letter"},
		"a letter more":              {"nginxx", nil, "nginx", args("nginx"), "nginx", "", "it differs by one letter"},
		"two exchanged":              {"ngixn", nil, "nginx", args("nginx"), "nginx", "", "it differs by one letter"},
		"its beginning":              {"php-fp", nil, "php-fpm8.2", args("php-fpm: master process"), "php-fpm", "", "it differs by one letter"},
		"its beginning, no title":    {"php-fpm", nil, "php-fpm8.2", nil, "php-fpm8.2", "", "it begins with PROCESS"},
		"more than it":               {"nginx-ingress", nil, "nginx", args("nginx"), "nginx", "", "PROCESS begins with it"},
		"a part of it":               {"alertmanager", nil, "prometheus-aler", args("/bin/prometheus-alertmanager"), "prometheus-alertmanager", "", "it contains PROCESS"},
		"a part of the title's name": {"master", nil, "main", args("postmaster: x"), "postmaster", "", "it contains PROCESS"},
		"a part of the command":      {"openresty", nil, "main", args("/opt/openresty/main"), "main", "", "its command contains PROCESS"},
		"a word of the title":        {"cluster", nil, "ruby", args("puma 6.4.2 (cluster)"), "puma", "", "its command contains PROCESS"},
		"what an interpreter runs":   {"gunicorn", nil, "python3", args("/usr/bin/python3", "/usr/bin/gunicorn", "app"), "python3", "gunicorn", "it runs gunicorn"},
		"a script with a dot":        {"app.py", nil, "python3", args("python3", "-u", "/srv/app.py"), "python3", `app\.py`, "it runs app.py"},

		"a title that is a path's":       {"server.js", nil, "node /app/serve", args("node /app/server.js"), "node", "", "its command contains PROCESS"},
		"a role for a name":              {"nsdd", nil, "nsd: xfrd", args("/usr/sbin/nsd", "-d"), "nsd", "", "it differs by one letter"},
		"a worker's number":              {"unicorn w", nil, "main", args("unicorn worker[0] -c x"), "unicorn", "", "PROCESS begins with it"},
		"a host's name":                  {"Celery", nil, "python3", args("celery@web-7d9f6: x"), "", "", ""},
		"only a name that does not last": {"[celery]", nil, "[celeryd", args("[celeryd: celery@web-0:MainProcess]"), "", "", ""},

		"an operand":      {"nginx", nil, "tail", args("tail", "-f", "--", "nginx"), "", "", ""},
		"another":         {"nginx", nil, "sh", args("/bin/sh", "-c", "nginx -g x"), "", "", ""},
		"short":           {"shop", nil, "sh", args("sh"), "", "", ""},
		"two letters":     {"sh", nil, "ps", args("ps"), "", "", ""},
		"no command line": {"nginx", nil, "kthreadd", nil, "", "", ""},
		"empty argv[0]":   {"nginx", nil, "init", args(""), "", "", ""},

		"nor does the command line match": {"Nginx", wrong, "nginx", args("nginx"), "", "", ""},
		"and the command line matches":    {"Nginx", regexp.MustCompile("-g"), "nginx", args("nginx", "-g"), "nginx", "", "it differs in case"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, &proc{pid: 7, comm: test.comm, args: test.args})
			survey := f.survey(Options{Name: test.process, Cmdline: test.cmdline}, unix.SIGHUP)
			got := append(survey.Near, Near{})[0]
			if got.Name != test.near || got.Cmdline != test.pattern || got.Why != test.why {
				t.Errorf("%q, %q, %q; want %q, %q, %q", got.Name, got.Cmdline, got.Why, test.near, test.pattern, test.why)
			}
			if got.Name == "" {
				return
			}
			opts := Options{Name: got.Name}
			switch {
			case got.Cmdline != "":
				opts.Cmdline = regexp.MustCompile(got.Cmdline)
			case got.rank > 0:
				opts.Cmdline = test.cmdline
			}
			if target := only(t, f.finder(opts)); target.PID != 7 {
				t.Errorf("it finds %d", target.PID)
			}
		})
	}
}

// Several processes with similar names: each has a hint of its own, and workers have none.
func TestNearOfSeveral(t *testing.T) {
	python := func(pid, parent int, args ...string) *proc {
		return &proc{pid: pid, parent: parent, comm: "python3", args: append([]string{"python3"}, args...)}
	}
	worker := func(pid, parent int) *proc {
		p := nginx(pid)
		p.parent = parent
		return p
	}
	for name, test := range map[string]struct {
		process string
		procs   []*proc
		want    []Near
	}{
		"a master and its workers": {
			"Nginx",
			[]*proc{nginx(9), worker(7, 9), worker(8, 9)},
			[]Near{{PID: 9, Name: "nginx", Why: "it differs in case"}},
		},
		"several masters": {
			"Nginx",
			[]*proc{nginx(7), nginx(9)},
			[]Near{{PID: 7, Name: "nginx", Why: "it differs in case"}},
		},
		"two scripts of one interpreter": {
			"app.py",
			[]*proc{python(7, 0, "/srv/app.py"), python(8, 0, "/srv/other.py")},
			[]Near{{PID: 7, Name: "python3", Cmdline: `app\.py`, Why: "it runs app.py"}},
		},
		"a script, and one that has started it": {
			"app.py",
			[]*proc{python(7, 0, "-u", "boot.py"), python(8, 7, "/srv/app.py")},
			[]Near{{PID: 8, Name: "python3", Cmdline: `app\.py`, Why: "it runs app.py"}},
		},
		"a script twice": {
			"app.py",
			[]*proc{python(7, 0, "/a/app.py"), python(8, 0, "/b/app.py")},
			[]Near{
				{PID: 7, Name: "python3", Cmdline: "/a/app\\.py", Why: "it runs app.py"},
				{PID: 8, Name: "python3", Cmdline: "/b/app\\.py", Why: "it runs app.py"},
			},
		},
		"the likeliest first": {
			"ngin",
			[]*proc{{pid: 7, comm: "nginx-ingress", args: []string{"nginx-ingress"}}, nginx(8)},
			[]Near{
				{PID: 8, Name: "nginx", Why: "it differs by one letter"},
				{PID: 7, Name: "nginx-ingress", Why: "it begins with PROCESS"},
			},
		},
		"options and letters alone": {
			"boot",
			[]*proc{
				{pid: 7, comm: "main", args: []string{"/srv/boot/main", "-u", "a"}},
				{pid: 8, comm: "main", args: []string{"/srv/boot/main", "-v", "b"}},
			},
			[]Near{{PID: 7, Name: "main", Why: "its command contains PROCESS"}},
		},
		"podsignal itself": {"podsignals", nil, nil},
		"what runs it": {
			"ruby",
			[]*proc{{pid: 7, comm: "bundle", args: []string{"puma 6.4.2 (tcp://0.0.0.0:3000) [app]"}, executable: "ruby3.1"}},
			[]Near{{PID: 7, Name: "puma", Why: "ruby runs it"}},
		},
		"what runs two": {
			"ruby",
			[]*proc{
				{pid: 7, comm: "puma", args: []string{"puma 6.4.2 (tcp://0.0.0.0:3000) [app]"}, executable: "ruby3.1"},
				{pid: 8, comm: "sidekiq", args: []string{"sidekiq 7.2.0 app"}, executable: "ruby3.1"},
			},
			[]Near{{PID: 7, Name: "puma", Why: "ruby runs it"}, {PID: 8, Name: "sidekiq", Why: "ruby runs it"}},
		},
		"workers of another name": {
			"webb",
			[]*proc{{pid: 7, comm: "ruby", args: []string{"cluster"}}, {pid: 8, parent: 7, comm: "ruby", args: []string{"web: 0"}}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, test.procs...)
			survey := f.survey(Options{Name: test.process}, unix.SIGHUP)
			if diff := cmp.Diff(test.want, survey.Near, cmpopts.IgnoreUnexported(Near{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A name that the kernel has cut is reported at once, with the name in full.
func TestCutName(t *testing.T) {
	nats := func(pid, parent int, args ...string) *proc {
		return &proc{pid: pid, parent: parent, comm: "nats-streaming-", args: args}
	}
	const full = `no matching process: no process is named "nats-streaming-", to which the kernel has cut the name of nats-streaming-server (pid 7): set PROCESS=nats-streaming-server`
	for name, test := range map[string]struct {
		process string
		procs   []*proc
		want    string
	}{
		"the name in full":    {"nats-streaming-server", []*proc{nats(7, 0, "/bin/nats-streaming-server")}, ""},
		"cut":                 {"nats-streaming-", []*proc{nats(7, 0, "/bin/nats-streaming-server")}, full},
		"a script's":          {"nats-streaming-", []*proc{nats(7, 0, "/bin/sh", "/bin/nats-streaming-server")}, full},
		"with a worker":       {"nats-streaming-", []*proc{nats(6, 7, "/bin/nats-streaming-server"), nats(7, 0, "/bin/nats-streaming-server")}, full},
		"the whole name":      {"nats-streaming-", []*proc{nats(7, 0, "/bin/nats-streaming-")}, ""},
		"nobody tells it all": {"nats-streaming-", []*proc{nats(7, 0, "x")}, ""},
		"a byte less":         {"nats-streaming", []*proc{nats(7, 0, "/bin/nats-streaming-server")}, `no matching process: no process is named "nats-streaming": fix PROCESS, or start it`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, test.procs...)
			opts := Options{Name: test.process}
			_, err := f.finder(opts).Find(t.Context())
			if err == nil && test.want != "" || err != nil && err.Error() != test.want {
				t.Errorf("%v\nwant %s", err, test.want)
			}
			survey := f.survey(opts, unix.SIGHUP)
			if cut := strings.Contains(test.want, "cut"); cut && survey.Near != nil {
				t.Errorf("reported twice: %+v", survey.Near)
			}
		})
	}
}

// A process with the name itself that starts while the others are read is not reported as
// similar.
func TestNearJustCome(t *testing.T) {
	f := newFake(t, &proc{pid: 7, comm: "sh", args: []string{"sh"}})
	list, calls := f.sys.list, 0
	f.sys.list = func(all []listed) ([]listed, error) {
		if calls++; calls == 2 {
			f.procs[8] = nginx(8)
		}
		return list(all)
	}
	if survey := f.survey(Options{}, unix.SIGHUP); survey.Near != nil || calls < 2 {
		t.Errorf("%+v, after %d looks", survey.Near, calls)
	}
}

func TestOneEdit(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"abc", "abc", false},
		{"abc", "abd", true},
		{"abc", "xbc", true},
		{"abc", "ab", true},
		{"abc", "bc", true},
		{"abc", "abxc", true},
		{"abc", "acb", true},
		{"abc", "cba", false},
		{"abcd", "badc", false},
		{"abc", "a", false},
		{"ab", "ba", false}, // too short to tell
		{"", "", false},
	} {
		if got := OneEdit(test.a, test.b); got != test.want {
			t.Errorf("OneEdit(%q, %q) is %v", test.a, test.b, got)
		}
		if got := OneEdit(test.b, test.a); got != test.want {
			t.Errorf("OneEdit(%q, %q) is %v", test.b, test.a, got)
		}
	}
}
