package signal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	device string // major:minor
	root   string // the folder of the file system that is mounted
	point  string // where, as the process sees it
}

func readMounts(pid string) ([]mount, error) {
	var buf [4 << 10]byte
	b, err := readProc("/proc/"+pid+"/mountinfo", buf[:], false)
	if errors.Is(err, unix.EINVAL) {
		b, err = mountsOfThread(pid, buf[:], err)
	}
	if err != nil {
		return nil, err
	}
	return parseMounts(b)
}

// mountsOfThread reads them from a thread that lives, after an error.
func mountsOfThread(pid string, buf []byte, cause error) ([]byte, error) {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return nil, cause // it is podsignal itself
	}
	folder, err := livingThread(n)
	if err != nil || folder == "" {
		return nil, cause
	}
	return readProc(folder+"/mountinfo", buf, false)
}

func parseMounts(b []byte) ([]mount, error) {
	var all []mount
	for line := range bytes.Lines(b) {
		// Not Fields: the kernel escapes no other spaces than that of ASCII.
		fields := strings.SplitN(string(line), " ", 6)
		if len(fields) < 6 {
			return nil, fmt.Errorf("parsing /proc/PID/mountinfo: %q", string(line))
		}
		all = append(all, mount{fields[2], unescape(fields[3]), unescape(fields[4])})
	}
	return all, nil
}

// unescape undoes the kernel's octal escapes of spaces, tabs, newlines, # and
// backslashes in mountinfo (mangle in fs/seq_file.c).
func unescape(s string) string {
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

// under is the mount that path lies on: the innermost, and of those mounted over
// each other the last.
func under(mounts []mount, path string) (found mount, ok bool) {
	for _, m := range mounts {
		if within(path, m.point) && len(m.point) >= len(found.point) {
			found, ok = m, true
		}
	}
	return found, ok
}

// overlaps tells whether both show a part of the same files.
func (m mount) overlaps(other mount) bool {
	return m.device == other.device && (within(m.root, other.root) || within(other.root, m.root))
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// shared are the mounts of ours that files lie on, for a target to share. Where
// one of them is a kubelet volume, only such are listed, and required is true: a
// process that does not mount the volume does not read its files.
func (s *system) shared(files []string) (mounts []mount, required bool, err error) {
	ours, err := s.mounts("self")
	if err != nil {
		return nil, false, err
	}
	var volumes []mount
	for _, file := range files {
		m, ok := under(ours, realPath(file))
		if !ok {
			continue
		}
		mounts = append(mounts, m)
		if s.isLink(filepath.Join(m.point, "..data")) {
			volumes = append(volumes, m)
		}
	}
	if volumes != nil {
		return volumes, true, nil
	}
	return mounts, false, nil
}

// realPath follows the links of as much of path as there is.
func realPath(path string) string {
	for rest := ""; ; {
		if followed, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(followed, rest)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}
