package watcher

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// dataLink is the link that the kubelet swaps
	// (pkg/volume/util/atomic_writer.go in kubernetes/kubernetes).
	dataLink = "..data"

	// maxLinks is how many links the kernel follows in one path (path_resolution(7)).
	maxLinks = 40
)

// A folder is one to be watched.
type folder struct {
	id       id
	path     string          // without links
	names    map[string]bool // the entries that matter, besides those of relative
	relative []string        // where, relative to FILE, all entries are visible that are not excluded
	volume   bool            // of the kubelet's
	exclude  exclusion
}

// matters tells whether an event on the named entry can change what is shown.
// The kubelet's own names matter wherever its link does: they tell how far it is.
func (f *folder) matters(name string) bool {
	if f.names[name] {
		return true
	}
	if name == gitEntry {
		return false // not named by FILE, it does not count
	}
	if strings.HasPrefix(name, "..") && (f.names[dataLink] || f.relative != nil) {
		return true
	}
	if len(f.exclude) == 0 {
		return f.relative != nil
	}
	return slices.ContainsFunc(f.relative, func(rel string) bool {
		return !f.exclude.has(filepath.Join(rel, name))
	})
}

// A place is where a path leads.
type place struct {
	real   string // without links
	stat   unix.Stat_t
	volume string // the folder that ..data led to on the way; else empty
}

func (p *place) id() id       { return id{p.stat.Dev, p.stat.Ino} }
func (p *place) mode() uint32 { return p.stat.Mode & unix.S_IFMT }

// frozen tells whether the place lies in a folder that the kubelet has swapped
// in: nothing in there changes until the next swap.
func (p *place) frozen() bool { return within(p.real, p.volume) }

// swapped tells whether the kubelet has swapped a volume since the scan came by.
func (s *scan) swapped() bool {
	for _, data := range s.data {
		dir, name := filepath.Split(data.real)
		if target, err := os.Readlink(dir + dataLink); err != nil || target != name {
			return true
		}
	}
	return false
}

// join is filepath.Join for parts that are clean already.
func join(folder, name string) string { return strings.TrimSuffix(folder, "/") + "/" + name }

func within(path, folder string) bool {
	return folder != "" && (path == folder || strings.HasPrefix(path, folder+"/"))
}

// watch asks for a watch on the folder for the entry name.
func (s *scan) watch(path string, st *unix.Stat_t, name string) {
	if f := s.watched(path, st); !f.matters(name) {
		f.names[name] = true
	}
}

// watchAll asks for a watch on the folder for all entries but the excluded. It is
// shown at the path rel, relative to FILE.
func (s *scan) watchAll(path string, st *unix.Stat_t, rel string) {
	f := s.watched(path, st)
	if len(s.exclude) == 0 {
		rel = "" // one is as good as another
	}
	if !slices.Contains(f.relative, rel) {
		f.relative = append(f.relative, rel)
	}
}

func (s *scan) watched(path string, st *unix.Stat_t) *folder {
	key := id{st.Dev, st.Ino}
	f := s.folders[key]
	if f == nil {
		f = &folder{id: key, path: path, names: make(map[string]bool), exclude: s.exclude}
		s.folders[key] = f
		s.room.keepFolder()
	}
	return f
}

// resolve follows path from the folder from, which has no links in it, as the
// kernel would, and asks for a watch on each folder that holds a link of the
// chain or its end. Where the path ends in nothing, that is on the last folder
// that exists; the error then wraps fs.ErrNotExist.
func (s *scan) resolve(from, path string) (place, error) {
	at := place{real: from}
	if err := unix.Lstat(from, &at.stat); err != nil {
		return place{}, unreadable(from, &fs.PathError{Op: "lstat", Path: from, Err: err})
	}
	return s.resolveIn(at, path)
}

func (s *scan) resolveIn(at place, path string) (place, error) {
	links := 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			up, err := s.resolve(filepath.Dir(at.real), "")
			if err != nil {
				return place{}, err
			}
			at.real, at.stat = up.real, up.stat
			continue
		}
		if data, ok := s.data[at.id()]; ok && name == dataLink {
			at = data
			continue
		}
		next := place{real: join(at.real, name), volume: at.volume}
		if at.mode() != unix.S_IFDIR {
			return place{}, &fs.PathError{Op: "lstat", Path: next.real, Err: fs.ErrNotExist}
		}
		target, err := s.next(&at, name, &next)
		if err != nil {
			return place{}, err
		}
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return place{}, fmt.Errorf("%s is part of a loop of links: remove one of them: %w", next.real, unix.ELOOP)
		}
		if name == dataLink && !strings.Contains(target, "/") {
			data := place{real: filepath.Join(at.real, target)}
			data.volume, at.volume = data.real, data.real
			if unix.Lstat(data.real, &data.stat) == nil && data.mode() == unix.S_IFDIR {
				s.data[at.id()] = data
				s.entered = latest(s.entered, at.stat.Ctim)
				at = data
				continue
			}
		}
		if filepath.IsAbs(target) {
			root, err := s.resolve("/", "")
			if err != nil {
				return place{}, err
			}
			at.real, at.stat = root.real, root.stat
		}
		if rest != "" {
			target += "/" + rest
		}
		rest = target
	}
	return at, nil
}

// next reads the entry of a folder. If it is a link, target is where that leads.
func (s *scan) next(in *place, name string, at *place) (target string, err error) {
	err = unix.Lstat(at.real, &at.stat)
	if (err != nil || at.mode() != unix.S_IFDIR) && !in.frozen() {
		s.watch(in.real, &in.stat, name)
	}
	if err != nil {
		return "", unreadable(at.real, &fs.PathError{Op: "lstat", Path: at.real, Err: err})
	}
	if at.mode() != unix.S_IFLNK {
		return "", nil
	}
	s.saw(&at.stat)
	return os.Readlink(at.real)
}
