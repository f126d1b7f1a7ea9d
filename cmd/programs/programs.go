// Package programs is what podsignal knows of programs: measured with those of Debian 12, by
// the tests in examples/daemons.
package programs

import (
	"slices"
	"strings"
)

// A Program is one that podsignal knows.
type Program struct {
	Name      string   // as people call it
	Processes []string // what PROCESS may be: the name in Debian, then those of other images
	Cmdline   string   // what CMDLINE must have in it, if the name means other programs too
	Signal    string   // on which it reloads, without SIG; empty: on none
	Expect    Expect   // what a reload leads to; empty: nothing is known
	Broken    Broken   // what it does with a configuration that it cannot use
	Validate  string   // what validates its configuration, to which its file may have to be added; empty: nothing is known
	Settings  []string // variables that it needs, such as MIN_INTERVAL=6s

	OnHUP   OnHUP  // of a program without Signal
	Instead string // what to do, if it reloads on no signal
}

// Expect is the effect that a reload has: what EXPECT may be.
type Expect string

// The effects.
const (
	Replaced Expect = "replaced" // a child process is new
	Read     Expect = "read"     // a file is opened
)

// Broken is what a program does with a configuration that it cannot use.
type Broken string

// What they do.
const (
	Keeps        Broken = "keeps the old one"
	Skips        Broken = "takes what it can use of it"
	Resets       Broken = "takes what is before the mistake, and defaults for the rest"
	Exits        Broken = "exits"
	StopsServing Broken = "stops serving"
)

// OnHUP is what HUP does to a program that does not reload on it.
type OnHUP string

// What it does.
const (
	Ignores   OnHUP = "nothing: it ignores the signal, and podsignal holds it back"
	Unhandled OnHUP = "would end it: it has no handler, and podsignal holds it back"
	Ends      OnHUP = "ends it"
	GoesOn    OnHUP = "it goes on with the old configuration"
)

// restart is what to do about most programs that do not reload.
const restart = "restart it, by SIGNAL=TERM (examples/restart-in-place)"

// Find returns the program that PROCESS and CMDLINE mean, or nil.
func Find(process, cmdline string) *Program {
	for i := range All {
		p := &All[i]
		if slices.Contains(p.Processes, process) && strings.Contains(cmdline, p.Cmdline) {
			return p
		}
	}
	return nil
}

// ByName returns the program of this name, or nil.
func ByName(name string) *Program {
	i := slices.IndexFunc(All, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &All[i]
}
