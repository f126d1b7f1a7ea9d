// Package procfs reads what the kernel says about mounts and time, for the packages that find
// processes and that watch files.
package procfs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type Mount struct {
	Device string // major:minor
	Root   string // the mounted folder of the filesystem
	Point  string // where, as the process sees it
	FSType string
}

// ParseMounts parses the content of /proc/PID/mountinfo. The error quotes the invalid line.
func ParseMounts(b []byte) ([]Mount, error) {
	var all []Mount
	for line := range bytes.Lines(b) {
		// Not Fields: the kernel escapes only the ASCII space.
		fields := strings.SplitN(string(line), " ", 6)
		if len(fields) < 6 {
			return nil, fmt.Errorf("too few fields: %q", string(line))
		}
		// Any number of optional fields precedes the separator.
		_, rest, ok := strings.Cut(" "+fields[5], " - ")
		if !ok {
			return nil, fmt.Errorf("no filesystem type: %q", string(line))
		}
		fsType, _, _ := strings.Cut(rest, " ")
		all = append(all, Mount{fields[2], unescape(fields[3]), unescape(fields[4]), unescape(fsType)})
	}
	return all, nil
}

// unescape undoes the kernel's octal escapes of spaces, tabs, newlines, # and
// backslashes in mountinfo (mangle in fs/seq_file.c).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// SinceBoot returns the time since boot, which nobody can set (CLOCK_BOOTTIME,
// clock_gettime(2)). Start times of processes are on this clock.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
