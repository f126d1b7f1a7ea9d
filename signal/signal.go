// Package signal finds the processes that have a name and signals them, without ever killing
// one by mistake.
//
// Of the watched files it knows only the mounts, which a target has to share.
package signal

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSignal is the highest signal number on Linux (signal(7)).
const maxSignal = 64

// Parse parses the name of a signal, in any case, with or without SIG, or its number. KILL
// and STOP are errors: no program can reload on them. The error continues a sentence that
// begins with the variable and its value.
func Parse(s string) (syscall.Signal, error) {
	sig, err := strconv.Atoi(s)
	if err != nil {
		name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
		sig = int(unix.SignalNum("SIG" + name))
	}
	switch {
	case sig < 1 || sig > maxSignal:
		return 0, fmt.Errorf("is not a valid signal: use a name such as HUP, USR1, USR2, QUIT or TERM, or a number from 1 to %d", maxSignal)
	case sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP):
		return 0, fmt.Errorf("cannot be caught, so no program reloads on it: use HUP, USR1, USR2, QUIT or TERM")
	}
	return syscall.Signal(sig), nil
}

// MeansEnd reports whether sig is meant to end a program: TERM, INT and QUIT.
func MeansEnd(sig syscall.Signal) bool {
	return sig == unix.SIGTERM || sig == unix.SIGINT || sig == unix.SIGQUIT
}

// Name returns the name of a signal without SIG, as kill -l prints it, or its number if it
// has no name (the real-time signals).
func Name(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return strconv.Itoa(int(sig))
}
