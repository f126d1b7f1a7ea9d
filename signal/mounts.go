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

// under is the mount that path lies on: the innermost, and of those mounted over
// each other the last.
func under(mounts []procfs.Mount, path string) (found procfs.Mount, ok bool) {
	for _, m := range mounts {
		if within(path, m.Point) && len(m.Point) >= len(found.Point) {
			found, ok = m, true
		}
	}
	return found, ok
}

// overlap tells whether both show a part of the same files.
func overlap(a, b procfs.Mount) bool {
	return a.Device == b.Device && (within(a.Root, b.Root) || within(b.Root, a.Root))
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// shared are the mounts of ours that files lie on, for a target to share. Where
// one of them is a kubelet volume, only such are listed, and required is true: a
// process that does not mount the volume does not read its files.
func (s *system) shared(files []string) (mounts []procfs.Mount, required bool, err error) {
	ours, err := s.mounts("self")
	if err != nil {
		return nil, false, err
	}
	var volumes []procfs.Mount
	for _, file := range files {
		m, ok := under(ours, realPath(file))
		if !ok {
			continue
		}
		mounts = append(mounts, m)
		if s.isLink(filepath.Join(m.Point, "..data")) {
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
