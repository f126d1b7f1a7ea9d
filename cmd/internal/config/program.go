package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/cmd/programs"
	"github.com/podsignal/podsignal/signal"
)

// Program is what is known of the rule's program; nil: nothing.
func (r *Rule) Program() *programs.Program {
	cmdline := ""
	if r.Cmdline != nil {
		cmdline = r.Cmdline.String()
	}
	return programs.Find(r.Process, cmdline)
}

// expect has EXPECT be what is known of the program, where it is not set. That is so for the
// signal on which the program reloads: on others it may reopen its logs, or anything else.
func (r *Rule) expect() {
	if p := r.Program(); r.Expect == verify.ExpectUnknown && p != nil && p.Signal == signal.Name(r.Signal) {
		r.Expect = verify.Expect(p.Expect)
	}
}

// CheckProcess is for PROCESS. The text of the error is to follow NAME="value", as that of
// ParseCmdline.
func CheckProcess(value string) error {
	if strings.Contains(value, "/") {
		return errors.New("is a path: use the name alone, " + filepath.Base(value))
	}
	return nil
}

// ParseCmdline is for CMDLINE.
func ParseCmdline(value string) (*regexp.Regexp, error) {
	pattern, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("is not a valid regular expression (%w): use RE2's syntax, such as -jar .*app\\.jar", err)
	}
	return pattern, nil
}

// ReplaceSignal has the rule send another signal than its own, which means something else to the
// program: what EXPECT says of a reload does not count for it.
func (r *Rule) ReplaceSignal(sig syscall.Signal) {
	r.Signal, r.Reload, r.Expect = sig, nil, verify.ExpectUnknown
	r.expect()
}

// WrongSignal says that the program is known to reload on another signal, or on none, with the
// fix; it is empty if nothing is known against it.
func (r *Rule) WrongSignal() string {
	p := r.Program()
	switch {
	case p == nil || r.Reload != nil || p.Signal == signal.Name(r.Signal) || signal.MeansEnd(r.Signal):
		return ""
	case p.Signal == "" && r.Signal == syscall.SIGHUP: // of others, nothing is known
		return fmt.Sprintf("%s does not reload on HUP: %s", p.Name, p.Instead)
	case p.Signal == "":
		return ""
	default:
		return fmt.Sprintf("%s reloads on %s: set SIGNAL=%s", p.Name, p.Signal, p.Signal)
	}
}

// Lacking are the settings that the program is known to need and does not have, such as
// MIN_INTERVAL=6s.
func (r *Rule) Lacking() (settings []string) {
	p := r.Program()
	if p == nil || r.Reload != nil {
		return nil
	}
	has := map[string]time.Duration{"MIN_INTERVAL": r.MinInterval, "VERIFY": r.Verify}
	for _, setting := range p.Settings {
		name, value, _ := strings.Cut(setting, "=")
		if least, err := time.ParseDuration(value); err == nil && has[name] < least {
			settings = append(settings, setting)
		}
	}
	return settings
}
