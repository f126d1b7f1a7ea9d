package daemons_test

import (
	"slices"
	"testing"
)

// like returns the daemon of this name, with another word in its files.
func like(name string, word [2]string) daemon {
	i := slices.IndexFunc(daemons, func(d daemon) bool { return d.name == name })
	d := daemons[i]
	if word != ([2]string{}) {
		d.files = replace(d.files, word)
	}
	return d
}

// TestFirstBroken has the first change after the start be one that the program cannot use.
func TestFirstBroken(t *testing.T) {
	inPods(t, []daemon{like("nginx-unprivileged", [2]string{}), like("HAProxy", [2]string{})}, func(t *testing.T, d daemon) {
		p, pid := d.begin(t)
		d.write(t, replace(d.files, d.breaks))
		d.wantOutcome(t, p, 1, "refused")
		if got, want := d.afterBroken(pid, d.change[0]), d.about().Broken; got != want {
			t.Errorf("with a broken configuration it %s, want that it %s", got, want)
		}
		d.write(t, replace(d.files, d.change))
		d.wantOutcome(t, p, 2, "replaced")
	})
}

// TestNotRefused has programs reload that have no workers then, though others of their name do.
func TestNotRefused(t *testing.T) {
	inPods(t, []daemon{
		like("PHP-FPM", [2]string{"static", "ondemand"}),
		singleNginx(),
	}, func(t *testing.T, d daemon) {
		p, _ := d.begin(t) // which asks PHP-FPM for the setting: it may have a worker now
		d.write(t, replace(d.files, d.change))
		p.value(t, "outcome=", 1, "outcome")
		if refused := p.lines("outcome=refused"); len(refused) > 0 {
			t.Errorf("%s", refused)
		}
	})
}

// singleNginx is nginx without a master, which it has for development, and does not serve any
// more after a reload.
func singleNginx() daemon {
	d := like("nginx-unprivileged", [2]string{})
	d.args = []string{"-g", "daemon off; master_process off;"}
	return d
}
