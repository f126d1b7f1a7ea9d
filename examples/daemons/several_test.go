package daemons_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// several are the daemons of one pod, each with a rule and a volume of its own.
var several = []daemon{
	example("several", daemon{
		name:    "nginx",
		rule:    "nginx",
		program: "/usr/sbin/nginx",
		pkg:     "nginx",
		args:    []string{"-g", "daemon off;"},
		prepare: nginxConf("/tmp", "/tmp/nginx.pid"),
		change:  [2]string{"hello from nginx", "goodbye"},
		setting: body(":8080"),
		trace:   workers,
	}),
	example("several", daemon{
		name:    "PgBouncer",
		rule:    "pgbouncer",
		program: "/usr/sbin/pgbouncer",
		pkg:     "pgbouncer",
		change:  [2]string{"10", "30"},
		setting: value("pgbouncer", "SHOW CONFIG", "default_pool_size"),
		trace:   func(_ string, p *process) string { return fmt.Sprint(p.lines("SIGHUP")) },
	}),
}

// TestSeveral changes the volume of each in turn, and wants the others left alone.
func TestSeveral(t *testing.T) {
	for _, d := range several {
		if _, err := os.Stat(d.program); err != nil {
			t.Skipf("%v: install Debian's package %s", err, d.pkg)
		}
	}
	inPods(t, several, func(t *testing.T, d daemon) { d.testRule(t) })
}

// testRule reloads the daemon beside the others, and wants none of them to notice.
func (d daemon) testRule(t *testing.T) {
	prepare(t, several...)
	podsignal := daemon{sidecar: d.sidecar}
	for _, each := range several {
		podsignal.env = append(podsignal.env, each.env...) // together they are all there is
	}
	p := podsignal.startPodsignal(t)
	for _, each := range several {
		p.value(t, "msg=watching rule="+each.rule, 1, "rule")
	}
	time.Sleep(50 * time.Millisecond) // a daemon that starts within 20 ms of a change is notified of it

	traces, before := make(map[string]func() string), make(map[string]string)
	for _, each := range several {
		running := each.start(t)
		await(t, each.name+" serves", func() error { return each.answers(each.change[0]) })
		pid := p.value(t, `msg="process found" rule=`+each.rule, 1, "pid")
		each.wantOwner(t, pid)
		started := startTime(t, pid)
		traces[each.rule] = func() string {
			if now := startTime(t, pid); now != started {
				t.Errorf("%s has started at tick %s, it was %s: it has been restarted", each.name, now, started)
			}
			return each.trace(pid, running)
		}
		before[each.rule] = traces[each.rule]()
	}

	d.write(t, replace(d.files, d.change))
	await(t, "the new setting", func() error { return d.answers(d.change[1]) })
	d.wantOutcome(t, p, 1, d.outcome(true)) // of all signals, the only one
	if got := p.value(t, "msg=signalled", 1, "rule"); got != d.rule {
		t.Errorf("the rule %s has signalled, want %s", got, d.rule)
	}
	for _, each := range several {
		ours := each.rule == d.rule
		if reloaded := traces[each.rule]() != before[each.rule]; reloaded != ours {
			t.Errorf("%s has reloaded: %t, want %t", each.name, reloaded, ours)
		}
		if !ours {
			check(t, each.answers(each.change[0]))
		}
	}
}

// workers are the processes that nginx replaces when it reloads.
func workers(pid string, _ *process) string {
	children, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		return err.Error()
	}
	return string(children)
}
