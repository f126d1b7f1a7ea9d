package programs

import (
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for _, test := range []struct{ process, cmdline, want string }{
		{"nginx", "", "nginx"},
		{"nginx", "-g daemon", "nginx"},
		{"httpd", "", "Apache httpd"},
		{"python3", "celery.*worker", "Celery"},
		{"python3", "", ""},
		{"python3", "app.py", ""},
		{"php-fpm8.2", "", "PHP-FPM"},
		{"perl", "start_server", "H2O with -m master"},
		{"h2o", "", "H2O"},
		{"Nginx", "", ""},
		{"", "", ""},
	} {
		got := ""
		if p := Find(test.process, test.cmdline); p != nil {
			got = p.Name
		}
		if got != test.want {
			t.Errorf("PROCESS=%s CMDLINE=%s: %s, want %s", test.process, test.cmdline, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(All, func(a, b Program) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }) {
		t.Error("the table is not sorted by name")
	}
	seen := make(map[string]string)
	for _, p := range All {
		for _, process := range p.Processes {
			if other, is := seen[process+p.Cmdline]; is {
				t.Errorf("%s means %s and %s", process, other, p.Name)
			}
			seen[process+p.Cmdline] = p.Name
			if got := Find(process, p.Cmdline); got == nil || got.Name != p.Name {
				t.Errorf("PROCESS=%s does not mean %s", process, p.Name)
			}
		}
		reloads := p.Signal != ""
		if reloads != (p.Expect != "") || reloads != (p.Broken != "") || reloads == (p.OnHUP != "") || reloads == (p.Instead != "") {
			t.Errorf("%s: it has to have Expect and Broken if it reloads on a signal, else OnHUP and Instead", p.Name)
		}
		if p.Name != ByName(p.Name).Name {
			t.Errorf("%s is not found by its name", p.Name)
		}
		if !slices.Contains([]string{"", "HUP", "USR1", "USR2"}, p.Signal) {
			t.Errorf("%s: SIG%s is no signal to reload on", p.Name, p.Signal)
		}
		if !slices.Contains([]Expect{"", Replaced, Read}, p.Expect) {
			t.Errorf("%s: no effect is called %s", p.Name, p.Expect)
		}
		if !slices.Contains([]Broken{"", Keeps, Skips, Resets, Exits, StopsServing}, p.Broken) {
			t.Errorf("%s: nothing that programs do is called %q", p.Name, p.Broken)
		}
		if !slices.Contains([]OnHUP{"", Ignores, Unhandled, Ends, GoesOn}, p.OnHUP) {
			t.Errorf("%s: nothing that HUP does is called %q", p.Name, p.OnHUP)
		}
		for _, setting := range p.Settings {
			if name, value, _ := strings.Cut(setting, "="); name == "" || value == "" {
				t.Errorf("%s: %q is not NAME=value", p.Name, setting)
			}
		}
	}
}
