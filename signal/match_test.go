package signal

import (
	"errors"
	"io/fs"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal/procfs"
)

func TestP1Name(t *testing.T) {
	args := func(args ...string) []string { return args }
	for name, test := range map[string]struct {
		process string // PROCESS
		comm    string
		args    []string
		want    bool
	}{
		"equal":                     {"nginx", "nginx", args("anything"), true},
		"equal, no command line":    {"nginx", "nginx", nil, true},
		"equal, with spaces":        {"nsd: xfrd", "nsd: xfrd", args("/usr/sbin/nsd"), true},
		"begin of the name":         {"ngin", "nginx", args("nginx"), false},
		"end of the name":           {"ginx", "nginx", args("nginx"), false},
		"name and more":             {"nginx", "nginx-debug", args("nginx-debug"), false},
		"less than the name":        {"nginx-debug", "nginx", args("nginx"), false},
		"other case":                {"Nginx", "nginx", args("nginx"), false},
		"pattern":                   {"ngin.", "nginx", args("nginx"), false},
		"path":                      {"/usr/sbin/nginx", "nginx", args("/usr/sbin/nginx"), false},
		"another":                   {"nginx", "sh", args("/bin/sh"), false},
		"name among the arguments":  {"nginx", "tail", args("tail", "-f", "nginx"), false},
		"name in a shell's command": {"nginx", "sh", args("/bin/sh", "-c", "nginx -g 'daemon off;'"), false},

		"argv[0], no colon":       {"redis-server", "main", args("redis-server *:6379"), true},
		"argv[0], Puma 6":         {"puma", "ruby", args("puma 6.4.2 (tcp://0.0.0.0:3000) [app]", "", ""), true},
		"argv[0], Unicorn":        {"unicorn", "ruby", args("unicorn master -c /etc/unicorn.rb"), true},
		"argv[0], Sidekiq":        {"sidekiq", "bundle", args("sidekiq 7.2.0 app [0 of 5 busy]"), true},
		"argv[0], path and words": {"node", "MainThread", args("/usr/bin/node /app/server.js"), true},
		"argv[0], another word":   {"6.4.2", "ruby", args("puma 6.4.2 (tcp://0.0.0.0:3000) [app]"), false},
		"argv[0], its last word":  {"unicorn.rb", "ruby", args("unicorn master -c /etc/unicorn.rb"), false},
		"argv[0], part of a word": {"pum", "ruby", args("puma 6.4.2 (tcp://0.0.0.0:3000) [app]"), false},
		"argv[0], space, colon":   {"uwsgi", "main", args("uwsgi master: app"), true},
		"argv[0], up to a colon":  {"uwsgi master", "main", args("uwsgi master: app"), true},
		"argv[0], odd file":       {"a) (b", "sh", args("/opt/bin/a) (b"), true},
		"argv[0], begins so":      {"", "main", args(" nginx"), false},
		"argv[0], a path":         {"postgres", "main", args("/usr/lib/postgresql/15/bin/postgres", "-D", "/data"), true},
		"argv[0], a title":        {"nginx", "main", args("nginx: master process nginx -c /etc/nginx/nginx.conf"), true},
		"argv[0], path and title": {"sshd", "main", args("/usr/sbin/sshd: /etc/sshd [listener]"), true},
		"argv[0], another title":  {"postgres", "main", args("postgres: checkpointer "), true},
		"argv[0], twice cut":      {"a", "main", args("a: b: c"), true},
		"argv[0], no title":       {"nginx", "main", args("nginx:master"), false},
		"argv[0], only its title": {"master process nginx", "main", args("nginx: master process nginx"), false},
		"argv[0] has a substring": {"nginx", "main", args("/usr/sbin/nginx-debug"), false},
		"argv[0] has a folder":    {"nginx", "main", args("/opt/nginx/main"), false},
		"argv[0] is empty":        {"nginx", "main", args("", "nginx"), false},

		"15 bytes, whole":                 {"fifteen-letters", "fifteen-letters", args("/bin/fifteen-letters"), true},
		"15 bytes, whole, other argv":     {"fifteen-letters", "fifteen-letters", args("other"), true},
		"15 bytes, whole, no argv":        {"fifteen-letters", "fifteen-letters", nil, true},
		"15 bytes, but cut":               {"prometheus-aler", "prometheus-aler", args("/bin/prometheus-alertmanager"), false},
		"cut, whole in argv[0]":           {"prometheus-alertmanager", "prometheus-aler", args("/bin/prometheus-alertmanager"), true},
		"cut, another in argv[0]":         {"prometheus-alertmanager", "prometheus-aler", args("/bin/prometheus-alerts"), false},
		"cut, script in argv[1]":          {"reload-all-things", "reload-all-thin", args("/bin/sh", "/opt/reload-all-things"), true},
		"cut, script in argv[2]":          {"reload-all-things", "reload-all-thin", args("/usr/bin/perl", "-w", "./reload-all-things", "x"), true},
		"cut, option that contains it":    {"reload-all-things", "reload-all-thin", args("/usr/bin/perl", "-Mreload-all-thing", "./reload-all-things"), true},
		"cut, script's operand":           {"reload-all-things", "reload-all-thin", args("sh", "-x", "/opt/other", "reload-all-things"), false},
		"cut, another script":             {"reload-all-things", "reload-all-thin", args("/bin/sh", "/opt/reload-all-thingies"), false},
		"cut, folder of the name":         {"reload-all-things", "reload-all-thin", args("/bin/sh", "/opt/reload-all-things/run"), false},
		"cut inside a letter":             {"fourteen-bytes\u00e9", "fourteen-bytes\xc3", args("/bin/sh", "/opt/fourteen-bytes\u00e9"), true},
		"not cut, so argv[1] is no name":  {"reload-all-things", "reload-all-thi", args("sh", "/opt/reload-all-things"), false},
		"cut, PROCESS is only its begin":  {"reload-all-thin", "reload-all-thin", args("/bin/sh", "/opt/reload-all-things"), false},
		"cut, and argv tells nothing":     {"reload-all-things", "reload-all-thin", args("x"), false},
		"15 bytes that start an argument": {"fifteen-letters", "fifteen-letters", args("fifteen-letters-and-more"), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, &proc{pid: 7, comm: test.comm, args: test.args})
			if got := foundPIDs(t, f.finder(Options{Name: test.process})) != nil; got != test.want {
				t.Errorf("found = %t", got)
			}
		})
	}
}

func TestP1Cmdline(t *testing.T) {
	app := &proc{pid: 7, comm: "java", args: []string{"/usr/bin/java", "-Xmx1g", "-jar", "/srv/app.jar"}}
	other := &proc{pid: 8, comm: "java", args: []string{"java", "-jar", "/srv/other.jar"}}
	script := &proc{pid: 9, comm: "sh", args: []string{"sh", "-c", "java -jar /srv/app.jar"}}
	for name, test := range map[string]struct {
		pattern string
		want    []int
	}{
		"across arguments":      {`-jar /srv/app\.jar`, []int{7}},
		"a part is enough":      {`app`, []int{7}},
		"the whole":             {`^/usr/bin/java -Xmx1g -jar /srv/app\.jar$`, []int{7}},
		"several":               {`\.jar$`, []int{7, 8}},
		"none":                  {`war$`, nil},
		"the name counts still": {`^sh -c`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, app, other, script)
			got := foundPIDs(t, f.finder(Options{Name: "java", Cmdline: regexp.MustCompile(test.pattern)}))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// The usual name costs one read for each process, and no command line is read.
func TestP1CommandLineIsReadIfNeeded(t *testing.T) {
	f := newFake(t, nginx(7))
	f.sys.cmdline = func(pid int) ([]string, error) {
		if pid == 7 {
			t.Error("the command line of nginx was read")
		}
		return nil, errGone
	}
	foundPIDs(t, f.finder(Options{}))
}

func TestNeverMatched(t *testing.T) {
	for name, test := range map[string]struct {
		pid    int
		change func(*proc)
	}{
		"P4 itself":      {us, func(*proc) {}},
		"P4 pid 0":       {0, func(*proc) {}},
		"P4 pid below 0": {-7, func(*proc) {}},
		"P2 zombie":      {7, func(p *proc) { p.state = 'Z' }},
		"P2 dead":        {7, func(p *proc) { p.state = 'X' }},
		"has ended":      {7, func(p *proc) { p.hidden = errGone }},
		"is hidden":      {7, func(p *proc) { p.hidden = fs.ErrPermission }},
	} {
		t.Run(name, func(t *testing.T) {
			p := nginx(test.pid)
			test.change(p)
			alone := newFake(t, p)
			if pids := foundPIDs(t, alone.finder(Options{})); pids != nil {
				t.Errorf("found %d", pids)
			}
			others := newFake(t, p, nginx(9))
			if diff := cmp.Diff([]int{9}, foundPIDs(t, others.finder(Options{}))); diff != "" {
				t.Errorf("beside it (-want +got)\n%s", diff)
			}
		})
	}
}

// A process whose command line is unreadable does not match: its name may be cut.
func TestP1CommandLineGone(t *testing.T) {
	f := newFake(t, &proc{pid: 7, comm: "fifteen-letters", args: []string{"fifteen-letters"}})
	f.sys.cmdline = func(int) ([]string, error) { return nil, errGone }
	if pids := foundPIDs(t, f.finder(Options{Name: "fifteen-letters"})); pids != nil {
		t.Errorf("found %d", pids)
	}
}

// A read error does not mean that a process is absent.
func TestFindFails(t *testing.T) {
	broken := errors.New("broken")
	for name, fail := range map[string]func(*fake){
		"list of processes": func(f *fake) {
			f.sys.list = func([]listed) ([]listed, error) { return nil, broken }
		},
		"stat":       func(f *fake) { f.procs[9] = &proc{pid: 9, hidden: broken} },
		"our mounts": func(f *fake) { f.sys.mounts = func(string) ([]procfs.Mount, error) { return nil, broken } },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nginx(7))
			finder := f.finder(Options{})
			before := only(t, finder)
			sys := *f.sys
			fail(f)
			if targets, err := finder.Find(t.Context()); !errors.Is(err, broken) || errors.Is(err, ErrNoTarget) || targets != nil {
				t.Errorf("Find: %v, %v", targets, err)
			}
			*f.sys = sys
			delete(f.procs, 9)
			if after := only(t, finder); after != before {
				t.Error("after that nginx is another target")
			}
		})
	}
}
