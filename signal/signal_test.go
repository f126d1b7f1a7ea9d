package signal

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want syscall.Signal
	}{
		"name":                  {"HUP", unix.SIGHUP},
		"name with SIG":         {"SIGHUP", unix.SIGHUP},
		"small":                 {"hup", unix.SIGHUP},
		"small with sig":        {"sigusr1", unix.SIGUSR1},
		"mixed":                 {"SigWinch", unix.SIGWINCH},
		"another":               {"USR2", unix.SIGUSR2},
		"one that ends":         {"TERM", unix.SIGTERM},
		"number":                {"1", unix.SIGHUP},
		"number of a real-time": {"34", 34},
		"highest number":        {"64", 64},
	} {
		t.Run(name, func(t *testing.T) {
			if sig, err := Parse(test.in); sig != test.want || err != nil {
				t.Errorf("Parse(%q) = %d, %v; want %d", test.in, sig, err, test.want)
			}
		})
	}
}

// The error for an invalid value says what would be valid.
func TestParseRefuses(t *testing.T) {
	const (
		noSignal  = "is not a valid signal: use a name such as HUP, USR1, USR2, QUIT or TERM, or a number from 1 to 64"
		uncaught  = "cannot be caught, so no program reloads on it: use HUP, USR1, USR2, QUIT or TERM"
		fullwidth = "\uff28\uff35\uff30" // HUP
	)
	for name, test := range map[string]struct{ in, want string }{
		"empty":                     {"", noSignal},
		"SIG alone":                 {"SIG", noSignal},
		"SIG twice":                 {"SIGSIGHUP", noSignal},
		"unknown":                   {"RELOAD", noSignal},
		"part of a name":            {"HU", noSignal},
		"space before":              {" HUP", noSignal},
		"two":                       {"HUP,USR1", noSignal},
		"other letters":             {fullwidth, noSignal},
		"SIG and a number":          {"SIG1", noSignal},
		"zero, which only asks":     {"0", noSignal},
		"below":                     {"-1", noSignal},
		"above":                     {"65", noSignal},
		"out of range of any int":   {"99999999999999999999", noSignal},
		"hexadecimal":               {"0x1", noSignal},
		"G3 KILL":                   {"KILL", uncaught},
		"G3 KILL in small with sig": {"sigkill", uncaught},
		"G3 KILL by number":         {"9", uncaught},
		"G3 STOP":                   {"STOP", uncaught},
		"G3 STOP by number":         {strconv.Itoa(int(unix.SIGSTOP)), uncaught},
	} {
		t.Run(name, func(t *testing.T) {
			if sig, err := Parse(test.in); sig != 0 || err == nil || err.Error() != test.want {
				t.Errorf("Parse(%q) = %d, %v; want the error %q", test.in, sig, err, test.want)
			}
		})
	}
}

func TestName(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{
		unix.SIGHUP: "HUP", unix.SIGUSR1: "USR1", unix.SIGWINCH: "WINCH", 34: "34", 64: "64",
	} {
		if got := Name(sig); got != want {
			t.Errorf("Name(%d) = %q, want %q", sig, got, want)
		}
	}
}

// Name and Parse are inverse.
func TestNameRoundTrip(t *testing.T) {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if sig == unix.SIGKILL || sig == unix.SIGSTOP {
			continue
		}
		name := Name(sig)
		for _, in := range []string{name, strings.ToLower(name), strconv.Itoa(int(sig))} {
			if got, err := Parse(in); got != sig || err != nil {
				t.Errorf("Parse(%q) = %d, %v; want %d", in, got, err, sig)
			}
		}
	}
}

func FuzzParseSignal(f *testing.F) {
	for _, seed := range []string{"HUP", "sigusr1", "34", "64", "65", "-1", "", "SIG", "KILL", "19", "9", "+1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sig, err := Parse(s)
		if err == nil {
			if sig < 1 || sig > 64 || sig == unix.SIGKILL || sig == unix.SIGSTOP {
				t.Errorf("Parse(%q) = %d", s, sig)
			}
			if again, err := Parse(Name(sig)); again != sig || err != nil {
				t.Errorf("%q is %d, its name %q is %d, %v", s, sig, Name(sig), again, err)
			}
			return
		}
		upper := strings.ToUpper(s)
		for valid := syscall.Signal(1); valid <= 64; valid++ {
			known := upper == Name(valid) || upper == unix.SignalName(valid) && upper != "" || s == strconv.Itoa(int(valid))
			if known && valid != unix.SIGKILL && valid != unix.SIGSTOP {
				t.Errorf("Parse(%q): %v; it is %d", s, err, valid)
			}
		}
	})
}
