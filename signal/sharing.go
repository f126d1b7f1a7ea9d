package signal

import (
	"fmt"
	"path/filepath"

	"github.com/podsignal/podsignal/signal/procfs"
)

// sharing says whether a process mounts what the files lie on.
type sharing byte

const (
	unread sharing = iota
	shares
	sharesNot
)

// shared returns our mounts that files lie on, for a target to share. If one of them is a
// kubelet volume, only volumes are listed, and required is true: a process that does not
// mount the volume does not read its files.
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

// sharedBy returns the mounts of a process that show a part of one of ours.
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

// mounting returns the roots that mount what the files lie on. For a kubelet volume this is
// required, for anything else it only decides between several roots.
func (f *Finder) mounting(roots []candidate, anew bool) ([]candidate, error) {
	if len(roots) == 0 {
		return nil, nil
	}
	if anew || f.ours == nil {
		var err error
		if f.ours, f.required, err = f.sys.shared(f.opts.Files); err != nil {
			return nil, err
		}
	}
	if !f.required && len(roots) == 1 {
		return roots, nil
	}
	var mounting []candidate
	for _, p := range roots {
		k := f.known[p.pid]
		if k.sharing == unread {
			theirs, err := f.sys.sharedBy(p.pid, f.ours)
			k.sharing = sharesNot
			if err != nil || len(theirs) > 0 { // one whose mounts are unreadable is not excluded
				k.sharing = shares
			}
			f.known[p.pid] = k
		}
		if k.sharing == shares {
			mounting = append(mounting, p)
		}
	}
	if len(mounting) == 0 && !f.required {
		return roots, nil
	}
	return mounting, nil
}
