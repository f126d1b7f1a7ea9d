// Package procfs reads what the kernel says of mounts and of time, for those who find
// processes and those who watch files.
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
	Root   string // the folder of the file system that is mounted
	Point  string // where, as the process sees it
	FSType string
}

// ParseMounts parses the content of /proc/PID/mountinfo. The error quotes the line that it
// cannot parse.
func ParseMounts(b []byte) ([]Mount, error) {
	var all []Mount
	for line := range bytes.Lines(b) {
		// Not Fields: the kernel escapes no other spaces than that of ASCII.
		fields := strings.SplitN(string(line), " ", 6)
		if len(fields) < 6 {
			return nil, fmt.Errorf("too few fields: %q", string(line))
		}
		// Before the separator there is any number of optional fields.
		_, rest, ok := strings.Cut(" "+fields[5], " - ")
		if !ok {
			return nil, fmt.Errorf("no type of file system: %q", string(line))
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

// SinceBoot is the time since boot, in which the start times of processes count, and
// which nobody can set (CLOCK_BOOTTIME, clock_gettime(2)).
func SinceBoot() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
