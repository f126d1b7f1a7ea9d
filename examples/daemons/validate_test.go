package daemons_test

import (
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
		d.inside = true
		d.env = slices.Concat(d.environ, d.env, []string{"VALIDATE=" + d.validate, "PATH=" + os.Getenv("PATH"), "RESYNC=0s"})
		if d.unfit() {
			d.testValidateRestart(t)
		} else {
			d.testValidate(t)
		}
	})
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
