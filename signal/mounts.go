package signal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

func readMounts(pid string) ([]procfs.Mount, error) {
	var buf [4 << 10]byte
	b, err := readProc("/proc/"+pid+"/mountinfo", buf[:], false)
	if errors.Is(err, unix.EINVAL) {
		b, err = mountsOfThread(pid, buf[:], err)
	}
	if err != nil {
		return nil, err
	}
	mounts, err := procfs.ParseMounts(b)
	if err != nil {
		return nil, fmt.Errorf("parsing /proc/%s/mountinfo: %w", pid, err)
	}
	return mounts, nil
}

// mountsOfThread reads the mounts from a thread that is alive, after an error.
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

// under returns the mount that path lies on: the innermost, and the last of those mounted
// over each other.
func under(mounts []procfs.Mount, path string) (found procfs.Mount, ok bool) {
	for _, m := range mounts {
		if within(path, m.Point) && len(m.Point) >= len(found.Point) {
			found, ok = m, true
		}
	}
	return found, ok
}

// overlap reports whether both show a part of the same files.
func overlap(a, b procfs.Mount) bool {
	nested := within(a.Root, b.Root) || within(b.Root, a.Root)
	return nested && a.Device == b.Device
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// realPath follows the links in as much of path as exists.
func realPath(path string) string {
	for rest := ""; ; {
		if followed, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(followed, rest)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}
