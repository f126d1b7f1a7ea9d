package watcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// Kind is what a path leads to.
type Kind string

// The kinds. Only the last two come with an error.
const (
	KindVolume   Kind = "kubelet volume"           // the folder that ..data is in
	KindInVolume Kind = "part of a kubelet volume" // a file or folder in there
	KindFile     Kind = "file"
	KindFolder   Kind = "folder"
	KindExcluded Kind = "file that EXCLUDE leaves out"
	KindAbsent   Kind = "absent"
	KindUnusable Kind = "unusable"
)

// A Description is what there is at the paths now, and what it takes to watch them.
type Description struct {
	Paths   []PathDescription
	Folders []string // to be watched, without links
	Inotify error    // why not, with the fix; nil: an instance and all watches are available
	Limits  InotifyLimits
}

// PathDescription tells of one path.
type PathDescription struct {
	Path  string
	Kind  Kind
	Files int   // that it shows
	Err   error // of an absent or unusable one, with the fix
}

// Describe scans the paths once, as a Watcher with these options would, and tries
// to watch them for a moment. It does not open the files: that would pass for a
// program that reads its configuration anew (see Opens). The error is ctx's.
func Describe(ctx context.Context, opts Options) (Description, error) {
	s := newScan(ctx, nil, opts.Exclude)
	s.mounts, _ = readTable() // empty where it cannot be read: then folders alone are watched
	var d Description
	for _, path := range opts.Paths {
		before := s.files
		kind, err := s.path(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			kind = KindAbsent
			err = absent(path, err)
		case err != nil:
			kind = KindUnusable
		}
		d.Paths = append(d.Paths, PathDescription{path, kind, s.files - before, err})
	}
	if err := ctx.Err(); err != nil {
		return d, err
	}
	var files []string // that are mounts of their own
	for _, f := range s.folders {
		if s.mounts.files[f.path] {
			files = append(files, f.path)
		} else {
			d.Folders = append(d.Folders, f.path)
		}
	}
	slices.Sort(d.Folders)
	d.Limits = readLimits() // before an instance of our own counts
	d.Inotify = tryNotify(slices.Concat(d.Folders, files))
	return d, nil
}

// absent says from where on there is nothing.
func absent(path string, err error) error {
	missing := ""
	if at, ok := errors.AsType[*fs.PathError](err); ok && at.Path != path {
		missing = fmt.Sprintf(" (%s is missing)", at.Path)
	}
	return fmt.Errorf("%s does not exist%s: fix FILE, or mount the volume there into podsignal's container", path, missing)
}

// tryNotify watches the paths for a moment.
func tryNotify(paths []string) error {
	n, err := newNotifier()
	if err != nil {
		return withHint(err)
	}
	defer func() { _ = n.close() }() // of no use any more whatever it says
	for _, path := range paths {
		err := n.add(path)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue // gone since the walk
		}
		if err != nil {
			return withHint(fmt.Errorf("watching %s: %w", path, err))
		}
	}
	return nil
}
