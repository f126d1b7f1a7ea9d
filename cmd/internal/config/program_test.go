package config

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/cmd/programs"
)

// What is known of a program is only so for the signal on which it reloads.
func TestProgram(t *testing.T) {
	for _, test := range []struct {
		process string
		signal  syscall.Signal
		expect  verify.Expect
		wrong   string
		lacks   string
	}{
		{"nginx", syscall.SIGHUP, "replaced", "", ""},
		{"nginx", syscall.SIGUSR1, "", "nginx reloads on HUP: set SIGNAL=HUP", ""},
		{"nginx", syscall.SIGTERM, "", "", ""},
		{"haproxy", syscall.SIGHUP, "", "HAProxy reloads on USR2: set SIGNAL=USR2", ""},
		{"httpd", syscall.SIGUSR1, "replaced", "", ""},
		{"prometheus", syscall.SIGHUP, "read", "", ""},
		{"caddy", syscall.SIGHUP, "", "Caddy 2.6 does not reload on HUP: use Caddy 2.11, which reloads on USR1, and set SIGNAL=USR1", ""},
		{"caddy", syscall.SIGUSR1, "", "", ""},
		{"freeradius", syscall.SIGHUP, "read", "", "MIN_INTERVAL=6s"},
		{"app", syscall.SIGHUP, "", "", ""},
	} {
		r := Rule{Process: test.process, Signal: test.signal, MinInterval: time.Second, Verify: 5 * time.Second}
		r.expect()
		if wrong, lacking := r.WrongSignal(), strings.Join(r.Lacking(), " "); r.Expect != test.expect || wrong != test.wrong || lacking != test.lacks {
			t.Errorf("%s by %v: EXPECT=%s, wrong: %s, lacks: %s; want %s, %s, %s", test.process, test.signal, r.Expect, wrong, lacking, test.expect, test.wrong, test.lacks)
		}
		r.Expect = verify.ExpectNone
		if r.expect(); r.Expect != verify.ExpectNone {
			t.Errorf("%s: EXPECT=none is %s", test.process, r.Expect)
		}
	}
}

// What the table may say is what EXPECT may say, and the settings are variables.
func TestProgramsAreKnown(t *testing.T) {
	for _, p := range programs.All {
		if _, err := verify.ParseExpect(string(p.Expect)); err != nil {
			t.Errorf("%s: EXPECT=%s %v", p.Name, p.Expect, err)
		}
		for _, setting := range p.Settings {
			name, value, _ := strings.Cut(setting, "=")
			if _, err := parseDuration(value); err != nil || name != "MIN_INTERVAL" && name != "VERIFY" {
				t.Errorf("%s: %s is not known to Lacking", p.Name, setting)
			}
		}
	}
}
