package signal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A SubPath is a mount that shows what was at some path when its container started, and not
// what has replaced that since.
type SubPath struct {
	Point string // where it is mounted
	Kind  MountKind
	Stale bool // what it shows has been removed: it has missed an update
}

// MountKind says how a mount was made.
type MountKind string

// The kinds of mounts that may miss updates.
const (
	KindSubPath MountKind = "subPath mount"     // of a part of a ConfigMap, a Secret or the like
	KindSingle  MountKind = "single-file mount" // of a file, as with docker -v file:file: it may be edited in place
	KindFolder  MountKind = "folder mount"      // which never updates only if it is stale
)

// Fix says what such a mount misses, and how to fix it.
func (s SubPath) Fix() string {
	switch s.Kind {
	case KindSubPath:
		return "subPath mounts never receive updates; mount the folder"
	case KindSingle:
		return "a file that replaces it on the host is not visible there; mount its folder"
	default:
		return "what has replaced it on the host is not visible there; restart the container"
	}
}

// Mounted says how a target mounts what one or more of the files lie on. If both lists are
// empty, it does not mount that.
type Mounted struct {
	Own      string    // where podsignal mounts it
	Folders  []string  // where the target mounts it and sees updates
	SubPaths []SubPath // where it mounts it and sees no updates, or for a single file not all
}

// isStamped reports whether a path has the name of a folder in it that the kubelet swaps in as
// a whole, such as ..2026_11_21_10_04_05.123456789. Only the root of a mount that was made
// through ..data contains one, as with subPath (pkg/volume/util/atomic_writer.go and subpath in
// kubernetes/kubernetes).
func isStamped(path string) bool {
	for name := range strings.SplitSeq(path, "/") {
		year, _, ok := strings.Cut(strings.TrimPrefix(name, ".."), "_")
		if ok && strings.HasPrefix(name, "..") && len(year) == 4 && strings.Trim(year, "0123456789") == "" {
			return true
		}
	}
	return false
}

// subPathOf reports whether a mount does not show what replaces its root; single says that
// the root is a file. The kernel marks a root that was removed (seq_path, fs/seq_file.c).
func subPathOf(m procfs.Mount, single bool) (s SubPath, is bool) {
	s = SubPath{m.Point, KindFolder, strings.HasSuffix(m.Root, removed)}
	switch {
	case isStamped(m.Root):
		s.Kind = KindSubPath
	case single:
		s.Kind = KindSingle
	}
	return s, s.Stale || s.Kind != KindFolder
}

const removed = "//deleted"

// isFile reports whether a path, as podsignal sees it, is a regular file.
func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// theirSubPath is subPathOf for a process's mount that overlaps one of ours. A mount of a
// single file, or one that is stale for another reason, counts only if the files contain it.
func (f *Finder) theirSubPath(our, their procfs.Mount) (s SubPath, is bool) {
	path := shownAt(our, their)
	held := slices.ContainsFunc(f.opts.Files, func(file string) bool { return path != "" && within(path, realPath(file)) })
	s, is = subPathOf(their, held && isFile(path))
	matters := held || s.Kind == KindSubPath
	return s, is && matters
}

// shownAt returns the path at which our mount shows the root of another; empty: it does not.
func shownAt(our, their procfs.Mount) string {
	root := strings.TrimSuffix(their.Root, removed)
	if their.Device != our.Device || !within(root, our.Root) {
		return ""
	}
	return filepath.Join(our.Point, strings.TrimPrefix(root, our.Root))
}

// SubPaths returns podsignal's own mounts of the SubPath kind: the one that path lies on, and
// those below it.
func SubPaths(path string) (on, below []SubPath, err error) { return newSystem().subPaths(path) }

func (s *system) subPaths(path string) (on, below []SubPath, err error) {
	ours, err := s.mounts("self")
	if err != nil {
		return nil, nil, err
	}
	path = realPath(path)
	if m, ok := under(ours, path); ok {
		if s, is := subPathOf(m, isFile(m.Point)); is {
			on = append(on, s)
		}
	}
	for _, m := range ours {
		if m.Point == path || !within(m.Point, path) {
			continue
		}
		if s, is := subPathOf(m, isFile(m.Point)); is {
			below = append(below, s)
		}
	}
	return on, below, nil
}

// mountsOf says how a process mounts each of our mounts that the files lie on.
func (f *Finder) mountsOf(pid int) (all []Mounted, err error) {
	ours, _, err := f.sys.shared(f.opts.Files)
	if err != nil {
		return nil, err
	}
	for i, our := range ours {
		if slices.Contains(ours[:i], our) {
			continue
		}
		theirs, err := f.sys.sharedBy(pid, []procfs.Mount{our})
		if err != nil {
			return nil, err
		}
		m := Mounted{Own: our.Point}
		for _, their := range theirs {
			if s, is := f.theirSubPath(our, their); is {
				m.SubPaths = append(m.SubPaths, s)
			} else {
				m.Folders = append(m.Folders, their.Point)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// warnOfSubPaths logs that a new target will not see updates.
func (f *Finder) warnOfSubPaths(pid int) {
	ours, _, err := f.sys.shared(f.opts.Files)
	if err != nil {
		return // mounting has returned it
	}
	for _, our := range ours {
		theirs, _ := f.sys.sharedBy(pid, []procfs.Mount{our})
		i := slices.IndexFunc(theirs, func(m procfs.Mount) bool { _, is := f.theirSubPath(our, m); return is })
		if i < 0 {
			continue
		}
		s, _ := f.theirSubPath(our, theirs[i])
		message := "process mounts a subPath of the volume: subPath mounts never receive updates; mount the folder"
		switch s.Kind {
		case KindSingle:
			message = "process mounts a single file: a file that replaces it on the host is not visible there; mount its folder"
		case KindFolder:
			message = "process mounts a folder that was removed on the host: restart its container"
		}
		f.opts.Log.Warn(message, "process", f.opts.Name, "pid", pid, "mount", s.Point, "stale", s.Stale) //nolint:sloglint // one of three constants
		return
	}
}
