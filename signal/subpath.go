package signal

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A SubPath is a mount that shows a part of a volume as it was when its container
// started, and never an update: a volumeMount with subPath, or a bind mount whose
// source was replaced.
type SubPath struct {
	Point string // where it is mounted
	Stale bool   // what it shows is removed already: an update has passed it by
}

// Mounted tells how a target mounts what one or more of the files lie on. It is
// not mounted at all if both lists are empty.
type Mounted struct {
	Own      string    // where podsignal mounts it
	Folders  []string  // where the target does, and sees updates
	SubPaths []SubPath // where it does, and sees none
}

// stamped is the name of a folder that the kubelet swaps in as a whole. It is in
// the way only of a mount that was made through ..data, as those of subPath are
// (pkg/volume/util/atomic_writer.go and subpath in kubernetes/kubernetes).
var stamped = regexp.MustCompile(`(^|/)\.\.\d{4}_[^/]*(/|$)`)

// subPath tells whether the mount never shows an update. The kernel marks a root
// that was removed (seq_path, fs/seq_file.c).
func (m mount) subPath() (s SubPath, is bool) {
	stale := strings.HasSuffix(m.root, "//deleted")
	return SubPath{m.point, stale}, stale || stamped.MatchString(m.root)
}

// SubPaths are the subPath mounts of podsignal's own that path lies on, or that
// lie below it.
func SubPaths(path string) (on, below []SubPath, err error) { return newSystem().subPaths(path) }

func (s *system) subPaths(path string) (on, below []SubPath, err error) {
	ours, err := s.mounts("self")
	if err != nil {
		return nil, nil, err
	}
	path = realPath(path)
	if m, ok := under(ours, path); ok {
		if s, is := m.subPath(); is {
			on = append(on, s)
		}
	}
	for _, m := range ours {
		if s, is := m.subPath(); is && m.point != path && within(m.point, path) {
			below = append(below, s)
		}
	}
	return on, below, nil
}

// sharedBy are the mounts of a process that show a part of one of ours.
func (s *system) sharedBy(pid int, ours []mount) (theirs []mount, err error) {
	all, err := s.mounts(fmt.Sprint(pid))
	for _, m := range all {
		for _, our := range ours {
			if our.overlaps(m) {
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
		theirs, err := f.sys.sharedBy(pid, []mount{our})
		if err != nil {
			return nil, err
		}
		m := Mounted{Own: our.point}
		for _, their := range theirs {
			if s, is := their.subPath(); is {
				m.SubPaths = append(m.SubPaths, s)
			} else {
				m.Folders = append(m.Folders, their.point)
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
	theirs, _ := f.sys.sharedBy(pid, ours)
	for _, m := range theirs {
		if s, is := m.subPath(); is {
			f.opts.Log.Warn("process mounts a subPath of the volume: subPath mounts never receive updates; mount the folder",
				"process", f.opts.Name, "pid", pid, "mount", s.Point, "stale", s.Stale)
			return
		}
	}
}
