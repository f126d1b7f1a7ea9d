package watcher

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A bind mount shows the file or folder that was at a path of the host when it was made,
// and not what takes that path later. A folder's files can be replaced in it all the same;
// of a file that is a mount of its own nothing new is ever seen then.

// mountTable is what a look knows of mounts.
type mountTable struct {
	roots map[string]string // by point; nil: this look has not read them
	files map[string]bool   // the points that are single files
}

// readTable reads what is mounted here.
func readTable() (mountTable, error) {
	mounts, err := mountinfo()
	if err != nil {
		return mountTable{}, err
	}
	t := mountTable{roots: make(map[string]string), files: make(map[string]bool)}
	for _, m := range mounts {
		t.roots[m.Point] = m.Root // the last is over the others
		delete(t.files, m.Point)
		var st unix.Stat_t
		if !slices.Contains(remote, m.FSType) && unix.Lstat(m.Point, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			t.files[m.Point] = true
		}
	}
	return t, nil
}

// readMounts reads them if that is due. If it cannot, what was known before serves.
func (w *Watcher) readMounts() {
	if !w.remount {
		return
	}
	t, err := readTable()
	if err != nil {
		w.opts.Log.Debug("mounts unreadable", "err", err)
		return
	}
	w.mounts, w.remount = t, false
	w.singles.Store(&t.files)
}

// on notes the mount that a path of FILE leads to, or one of a single file.
func (s *scan) on(at *place) {
	for point := at.real; s.mounts.roots != nil && point != "/"; point = filepath.Dir(point) {
		if root, ok := s.mounts.roots[point]; ok {
			s.note(point, root)
			return
		}
	}
}

func (s *scan) note(point, root string) {
	if s.fixed == nil {
		s.fixed = make(map[string]string)
	}
	s.fixed[point] = root
}

// holdsMount tells whether a file of the folder is a mount of its own.
func (s *scan) holdsMount(folder string) bool {
	for point := range s.mounts.files {
		if filepath.Dir(point) == folder {
			return true
		}
	}
	return false
}

// A fixed is a mount that something of FILE lies on.
type fixed struct {
	root  string // as it was at first
	stale error  // why it is; nil: it is not
}

// deleted tells whether the kernel says that a root is gone (seq_path, fs/seq_file.c).
func deleted(root string) bool { return strings.HasSuffix(root, "//deleted") }

// judge compares the mounts that a look has found with what they were. One that is not
// whole has not found them all.
func (w *Watcher) judge(s *scan, whole bool) {
	before := w.fixed
	w.fixed = make(map[string]*fixed)
	if !whole {
		maps.Copy(w.fixed, before)
	}
	for point, root := range s.fixed {
		f := before[point]
		if f == nil {
			f = &fixed{root: root}
		}
		w.fixed[point] = f
		was := f.stale
		f.stale = nil
		if root == f.root && !deleted(root) {
			continue
		}
		fix := "restart the container"
		if s.mounts.files[point] {
			fix = "mount its folder, and " + fix
		}
		f.stale = fmt.Errorf("what is mounted at %s was moved, replaced or removed on the host, and what is there now is not seen here: %s", point, fix)
		if was == nil {
			w.opts.Log.Warn("mount is stale", "mount", point, "err", f.stale)
		}
	}
	var errs []error
	for _, point := range slices.Sorted(maps.Keys(w.fixed)) {
		errs = append(errs, w.fixed[point].stale)
	}
	w.stale = errors.Join(errs...)
}
