package podtest

import (
	"fmt"
	"math/bits"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultSignals makes all processes that this one starts have their signals at the defaults,
// whatever nohup, a CI or a shell has set for this one: a process passes on to its children
// which signals it ignores and which it blocks (signal(7)). Call it in TestMain.
func DefaultSignals() {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err == nil && signals(status, "SigBlk") != 0 {
		err = unblocked()
	}
	if err != nil {
		panic(fmt.Sprintf("setting signals to their defaults: %v", err))
	}
	// A signal that is caught here is at its default in a child (execve(2)). Nobody reads
	// the channel, so this process still ignores the signal.
	for ignored := signals(status, "SigIgn"); ignored != 0; ignored &= ignored - 1 {
		signal.Notify(make(chan os.Signal, 1), syscall.Signal(bits.TrailingZeros64(ignored)+1))
	}
}

// unblocked re-executes this program with no signal blocked: Go's runtime gives each child
// the mask with which the program itself was started.
func unblocked() error {
	runtime.LockOSThread() // the mask is the thread's
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}

// signals returns a set of signals in /proc/PID/status: bit 0 is signal 1.
func signals(status []byte, name string) uint64 {
	set, _ := strconv.ParseUint(field(status, name), 16, 64) // 0 without that line
	return set
}

// field returns the value of a line of /proc/PID/status.
func field(status []byte, name string) string {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
