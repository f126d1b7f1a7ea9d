package daemons_test

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// inBackground are daemons that are started as outside of containers: what is started
// leaves a process behind, and ends. In between it has the name of the daemon, too.
var inBackground = []daemon{
	background("BIND", func(d *daemon) {
		// It waits for the zones, which takes seconds.
		d.files["example.zone"] += "$GENERATE 1-200000 host$ IN A 192.0.2.1\n"
	}, "-u", "bind"),
	background("nginx", func(*daemon) {}, "-g", "daemon on;"),
	background("PHP-FPM", func(*daemon) {}, "-D", "-y", "/etc/php-fpm/php-fpm.conf"),
	background("Postfix", func(*daemon) {}, "-c", "/config", "start"),
	background("PostgreSQL", func(d *daemon) {
		d.program = "/usr/lib/postgresql/15/bin/pg_ctl"
		d.args = []string{"start", "--wait", "--log=/tmp/log", "--options=" + strings.Join(d.args, " ")}
	}),
}

// background is a daemon of the table with other arguments, if there are any.
func background(name string, change func(*daemon), args ...string) daemon {
	i := slices.IndexFunc(daemons, func(d daemon) bool { return d.name == name })
	d := daemons[i]
	files := d.files
	d.files = make(volumetest.Files)
	for key, content := range files {
		d.files[key] = content
	}
	if args != nil {
		d.args = args
	}
	change(&d)
	return d
}

// podsignal looks all the time while the daemon starts: it has to find the process that
// is left behind, whatever it takes that for at first.
func TestInBackground(t *testing.T) {
	inPods(t, inBackground, func(t *testing.T, d daemon) {
		prepare(t, d)
		p := d.startPodsignal(t)
		launcher := strconv.Itoa(d.start(t).pid)
		await(t, "the daemon serves", func() error { return d.answers(d.change[0]) })
		await(t, "the process that was started ends", func() error {
			if stat(launcher) != nil {
				return errors.New("it lives")
			}
			return nil
		})
		changed := replace(d.files, d.change)
		for i, files := range []volumetest.Files{changed, d.files} {
			d.write(t, files)
			await(t, "the new setting", func() error { return d.answers(d.change[1-i]) })
			p.value(t, "outcome=", i+1, "outcome")
			// One for each content, unless there is another process by now: PHP-FPM starts
			// itself anew within a few ms, so soon after the change that it may have read
			// what was there before.
			signals := p.lines("msg=signalled")
			digests, processes := make(map[string]bool), make(map[string]bool)
			for _, line := range signals {
				found := regexp.MustCompile(` (digest=\w+)(?: was=\w+)? (pid=\d+)`).FindStringSubmatch(line)
				digests[found[1]], processes[found[1]+found[2]] = true, true
			}
			if len(digests) != i+1 || len(signals) != len(processes) {
				t.Errorf("%d signals, want one for each of %d contents:\n%s", len(signals), i+1, strings.Join(signals, "\n"))
			}
		}
		pid := p.value(t, "process found", len(p.lines("process found")), "pid")
		if pid == launcher {
			t.Errorf("process %s was the last that was found, and has ended", pid)
		}
		d.wantOwner(t, pid)
	})
}
