package signal

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/signal/procfs"
)

// A SubPath is a mount that shows what was at some path when its container started, and
// not what replaces that.
type SubPath struct {
	Point string // where it is mounted
	Kind  MountKind
	Stale bool // what it shows is removed already: an update has passed it by
}

// MountKind is how a mount came to be.
type MountKind string

// The kinds.
const (
	KindSubPath MountKind = "subPath mount"     // of a part of a ConfigMap, a Secret or the like
	KindSingle  MountKind = "single-file mount" // of a file, as with docker -v file:file: it may be edited in place
	KindFolder  MountKind = "folder mount"      // which never updates only if it is stale
)

// Fix says what such a mount does, and what to do about it.
func (s SubPath) Fix() string {
	switch s.Kind {
	case KindSubPath:
		return "subPath mounts never receive updates; mount the folder"
	case KindSingle:
		return "a file that replaces it on the host will not be seen; mount its folder"
	default:
		return "what has replaced it on the host is not seen; start the container again"
	}
}

// Mounted tells how a target mounts what one or more of the files lie on. It is
// not mounted at all if both lists are empty.
type Mounted struct {
	Own      string    // where podsignal mounts it
	Folders  []string  // where the target does, and sees updates
	SubPaths []SubPath // where it does, and sees none, or of a single file not all
}

// stamped is the name of a folder that the kubelet swaps in as a whole. It is in
// the way only of a mount that was made through ..data, as those of subPath are
// (pkg/volume/util/atomic_writer.go and subpath in kubernetes/kubernetes).
var stamped = regexp.MustCompile(`(^|/)\.\.\d{4}_[^/]*(/|$)`)

// subPathOf tells whether a mount does not show what replaces its root; single says that
// this is a file. The kernel marks a root that was removed (seq_path, fs/seq_file.c).
func subPathOf(m procfs.Mount, single bool) (s SubPath, is bool) {
	s = SubPath{m.Point, KindFolder, strings.HasSuffix(m.Root, removed)}
	switch {
	case stamped.MatchString(m.Root):
		s.Kind = KindSubPath
	case single:
		s.Kind = KindSingle
	}
	return s, s.Stale || s.Kind != KindFolder
}

const removed = "//deleted"

// isFile is for a path of ours.
func isFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// theirSubPath is subPath for a process's mount that overlaps one of ours. One of a single
// file, or one that is stale for another reason, counts if it is of what the files hold.
func (f *Finder) theirSubPath(our, their procfs.Mount) (s SubPath, is bool) {
	path := shownAt(our, their)
	held := slices.ContainsFunc(f.opts.Files, func(file string) bool { return path != "" && within(path, realPath(file)) })
	s, is = subPathOf(their, held && isFile(path))
	return s, is && (held || s.Kind == KindSubPath)
}

// shownAt is where our mount shows the root of another: empty if it does not.
func shownAt(our, their procfs.Mount) string {
	root := strings.TrimSuffix(their.Root, removed)
	if their.Device != our.Device || !within(root, our.Root) {
		return ""
	}
	return filepath.Join(our.Point, strings.TrimPrefix(root, our.Root))
}

// SubPaths are the subPath mounts of podsignal's own, and the like, that path lies on, or
// that lie below it.
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

// sharedBy are the mounts of a process that show a part of one of ours.
func (s *system) sharedBy(pid int, ours []procfs.Mount) (theirs []procfs.Mount, err error) {
	all, err := s.mounts(fmt.Sprint(pid))
	for _, m := range all {
		for _, our := range ours {
			if overlap(our, m) {
				theirs = append(theirs, m)
				break
			}
		}
	}
	return theirs, err
}

// mountsOf tells of each of our mounts that files lie on how a process mounts it.
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

// warnOfSubPaths says once for a new target that it will not see the updates.
func (f *Finder) warnOfSubPaths(pid int) {
	ours, _, err := f.sys.shared(f.opts.Files)
	if err != nil {
		return // mounting has told
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
			message = "process mounts a single file: one that replaces it on the host will not be seen there; mount its folder"
		case KindFolder:
			message = "process mounts a folder that was removed on the host: start its container again"
		}
		f.opts.Log.Warn(message, "process", f.opts.Name, "pid", pid, "mount", s.Point, "stale", s.Stale) //nolint:sloglint // one of three constants
		return
	}
}
