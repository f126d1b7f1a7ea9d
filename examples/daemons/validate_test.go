package daemons_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestValidate has podsignal validate configurations by the programs' own commands, in their
// images: a broken one reaches none of them.
func TestValidate(t *testing.T) {
	var validated []daemon
	for _, d := range daemons {
		if d.validate != "" {
			validated = append(validated, d)
		}
	}
	inPods(t, validated, func(t *testing.T, d daemon) {
		d.env = append(d.env, "VALIDATE="+d.validate)
		if d = d.beside(); d.unfit() {
			d.testValidateRestart(t)
		} else {
			d.testValidate(t)
		}
	})
}

// beside has podsignal run in the daemon's image, with its variables.
func (d daemon) beside() daemon {
	d.inside = true
	d.env = slices.Concat(d.environ, d.env, []string{"PATH=" + os.Getenv("PATH"), "RESYNC=0s"})
	return d
}

// validateExamples are the manifests in examples/validate.
var validateExamples = []daemon{
	example("validate/haproxy.yaml", daemon{
		name:    "HAProxy",
		program: "/usr/sbin/haproxy",
		pkg:     "haproxy",
		change:  [2]string{"hello from HAProxy", "goodbye"},
		setting: body(":8080"),
		breaks:  [2]string{"frontend", "frontent"},
	}),
	apache(),
}

func TestValidateExamples(t *testing.T) {
	inPods(t, validateExamples, func(t *testing.T, d daemon) { d.beside().testValidate(t) })
}

// apache is Debian's, in the place of its official image: it has another name and folder.
func apache() daemon {
	built := []string{"-d", "/usr/local/apache2", "-f", "conf/httpd.conf"} // into the image's
	d := example("validate/apache.yaml", daemon{
		name:    "Apache httpd",
		program: "/usr/sbin/apache2",
		pkg:     "apache2",
		change:  [2]string{"hello from Apache", "goodbye"},
		setting: header(":8080", "X-Greeting"),
		breaks:  [2]string{"Header", "Haeder"},
	})
	d.process, d.args = "apache2", slices.Concat(built, d.args)
	d.files = replace(d.files, [2]string{"LoadModule unixd_module modules/mod_unixd.so\n", ""}) // built into Debian's
	d.files = replace(d.files, [2]string{"/proc/self/fd/2", "/tmp/error.log"})                  // its runtime gives that to its user
	prepare := d.prepare
	d.prepare = func() error {
		return inTurn(
			folders("/usr/local/apache2"),
			func() error { return os.Symlink("/usr/lib/apache2/modules", "/usr/local/apache2/modules") },
			func() error {
				script := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", d.program, strings.Join(built, " "))
				return os.WriteFile("/usr/local/bin/httpd", []byte(script), 0o755)
			},
			prepare,
		)
	}
	return d
}

// testValidate changes the configuration to a good one, a broken one, and a good one again.
func (d daemon) testValidate(t *testing.T) {
	p, pid := d.begin(t)
	before := startTime(t, pid)
	changed := replace(d.files, d.change)
	d.write(t, changed)
	await(t, "the new setting", func() error { return d.answers(d.change[1]) })
	p.value(t, "outcome=", 1, "outcome")

	d.write(t, replace(changed, d.breaks))
	p.value(t, "outcome=invalid", 1, "digest")
	if sent := p.lines("msg=signalled"); len(sent) != 1 {
		t.Errorf("the broken configuration was sent:\n%s", strings.Join(sent, "\n"))
	}
	await(t, "what it had before", func() error { return d.answers(d.change[1]) })

	d.write(t, d.files)
	await(t, "the setting after that", func() error { return d.answers(d.change[0]) })
	p.value(t, "msg=signalled", 2, "digest") // some read their files whenever they are asked
	if sent := p.lines("msg=signalled"); len(sent) != 2 {
		t.Errorf("%d signals, want 2:\n%s", len(sent), strings.Join(sent, "\n"))
	}
	if now := startTime(t, pid); now != before {
		t.Errorf("process %s has started at tick %s, it was %s: it has been restarted", pid, now, before)
	}
}

// testValidateRestart changes the configuration of a daemon that does not reload, and is to be
// restarted, to a broken one and to a good one: nothing ends it before that.
func (d daemon) testValidateRestart(t *testing.T) {
	d.signal, d.env = "TERM", append(d.env, "START_GRACE=0s")
	p, pid := d.begin(t)
	before := startTime(t, pid)
	d.write(t, replace(d.files, d.breaks))
	p.value(t, "outcome=invalid", 1, "digest")
	await(t, "what it had before", func() error { return d.answers(d.change[0]) })
	if now := startTime(t, pid); now != before {
		t.Errorf("process %s has started at tick %s, it was %s: it has been restarted", pid, now, before)
	}

	d.write(t, replace(d.files, d.change))
	p.value(t, "msg=signalled", 1, "pid")
	if sent := p.lines("msg=signalled"); len(sent) != 1 {
		t.Errorf("%d signals, want 1:\n%s", len(sent), strings.Join(sent, "\n"))
	}
}
