package watcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// gitEntry is git's own: in a clone a folder with its history, in a worktree, which git-sync
// makes anew for each commit, a file. Both change without a change of content.
const gitEntry = ".git"

// names are those of a folder's entries, but for git's own.
func (s *scan) names(at *place) ([]string, error) {
	tooMany := s.room.names()
	names, err := readNames(at.real, tooMany)
	if len(names) >= tooMany {
		s.room.entries += len(names)
		return nil, s.room.full(at.real)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == gitEntry }), err
}

// readNames is os.ReadDir with half the system calls, see open. It stops when it has so
// many names.
func readNames(dir string, most int) (names []string, err error) {
	fd, err := open(dir, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		var buf [4 << 10]byte
		n, err := unix.ReadDirent(fd, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, &fs.PathError{Op: "readdirent", Path: dir, Err: err}
		case n <= 0 || len(names) >= most:
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// unreadable says who cannot read what, and the fix.
func unreadable(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		path = filepath.Dir(path)
		if unix.Stat(path, &st) != nil {
			return err
		}
	}
	return fmt.Errorf("podsignal runs as uid %d and cannot read %s (uid %d, gid %d, mode %04o): set securityContext.runAsUser to its owner, or the pod's fsGroup, or the volume's defaultMode: 0440: %w",
		os.Geteuid(), path, st.Uid, st.Gid, st.Mode&0o7777, err)
}
