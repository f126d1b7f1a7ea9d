package watcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A scan is one walk over the paths: it finds what they show and which folders
// must be watched to notice when that changes.
type scan struct {
	ctx     context.Context
	cache   *cache // nil: files are not opened, only asked whether they could be
	exclude exclusion
	glance  bool          // the files are listed, though they are not opened
	root    string        // the path of FILE that is being walked
	walking map[id]string // folders being walked, against link loops
	room    room          // for all that is come across
	mounts  mountTable
	found
}

// found is what a scan has come across.
type found struct {
	folders map[id]*folder
	entries []entry
	shown   []shown           // by each path
	device  device            // that was asked about last
	files   int               // that are shown
	newest  time.Time         // the newest ctime of all that decides what is shown
	written time.Time         // the newest of files that may still be written to
	entered time.Time         // the newest of volumes' folders: when an entry, such as ..data, was last changed
	recheck bool              // a file was read within racy of its ctime
	fixed   map[string]string // roots of the mounts that were come across, by point
	data    map[id]place      // where ..data leads, by the volume's folder
	thawed  bool              // not all that is shown lies in such a place
	uneven  bool              // something shows no file, or is a folder of a volume: a swap may change that without an event
}

// An entry is one file as a reader sees it.
type entry struct {
	path string
	real string // where links lead
	sum  [sha256.Size]byte
}

// latest returns the later of two times.
func latest(t time.Time, ctime unix.Timespec) time.Time {
	if c := time.Unix(ctime.Unix()); c.After(t) {
		return c
	}
	return t
}

func newScan(ctx context.Context, c *cache, exclude exclusion) *scan {
	if c != nil {
		c.scan++
	}
	return &scan{
		ctx:     ctx,
		cache:   c,
		exclude: exclude,
		walking: make(map[id]string),
		found:   found{folders: make(map[id]*folder), data: make(map[id]place)},
	}
}

// path adds all that path shows, and tells what it is. The error wraps
// fs.ErrNotExist where there is nothing.
func (s *scan) path(path string) (kind Kind, err error) {
	s.root = path
	s.shown = append(s.shown, shown{path: path, first: len(s.entries)})
	defer func() {
		now := &s.shown[len(s.shown)-1]
		now.last = len(s.entries)
		if err == nil {
			now.kind = kind
		}
		s.uneven = s.uneven || err != nil
	}()
	at, err := s.resolve("/", path)
	if err != nil {
		return "", err
	}
	now := &s.shown[len(s.shown)-1]
	now.at, now.secret = at, s.maySecret(&at)
	switch at.mode() {
	case unix.S_IFDIR:
		volume, err := s.folder(path, at)
		switch {
		case volume:
			return KindVolume, err
		case at.frozen():
			return KindInVolume, err
		default:
			s.on(&at)
			return KindFolder, err
		}
	case unix.S_IFREG:
		if s.exclude.has(filepath.Base(path)) {
			return KindExcluded, nil
		}
		if at.frozen() {
			return KindInVolume, s.file(path, at)
		}
		s.on(&at)
		return KindFile, s.file(path, at)
	default:
		return "", fmt.Errorf("%s is neither a file nor a folder: set FILE to what the program reads", path)
	}
}

// folder adds the files below a folder. They are named by path, the way to it as
// a reader goes, not by where links lead.
func (s *scan) folder(path string, at place) (volume bool, err error) {
	if other, ok := s.walking[at.id()]; ok {
		return false, fmt.Errorf("%s leads back to %s: remove the link that makes the loop", path, other)
	}
	s.walking[at.id()] = path
	defer delete(s.walking, at.id())

	s.mark(&at)
	s.uneven = s.uneven || at.frozen()
	if !at.frozen() {
		s.watchAll(at.real, &at.stat, relative(s.root, path))
	}
	s.saw(&at.stat)
	root, mounted := s.mounts.roots[at.real]
	if mounted {
		s.note(at.real, root)
	}
	names, err := s.names(&at) // of one that was removed there are none, and an error
	if err != nil {
		return false, unreadable(at.real, err)
	}
	if err := s.room.enter(path, len(names)); err != nil {
		return false, err
	}
	volume = slices.Contains(names, dataLink)
	if f := s.folders[at.id()]; f != nil { // nil: it is frozen
		f.volume = volume
	}
	if volume && mounted {
		delete(s.fixed, at.real) // it stays, and what is in it is swapped
	}
	if s.recallFlat(path, &at, names) {
		return volume, nil
	}
	before := len(s.entries)
	for _, name := range names {
		if err := s.ctx.Err(); err != nil {
			return false, err
		}
		if volume && strings.HasPrefix(name, "..") {
			continue
		}
		path := join(path, name)
		if s.exclude.has(relative(s.root, path)) {
			continue
		}
		if err := s.entry(path, at, name); err != nil {
			return false, err
		}
	}
	s.remember(path, &at, names, s.entries[before:])
	return volume, nil
}

// entry adds what one entry of a folder shows. A link to nothing, or what was
// removed since the folder was read, is not a file to a reader. FIFOs, sockets and
// devices have no content, and to open one may block or do things.
func (s *scan) entry(path string, in place, name string) error {
	at, err := s.resolveIn(in, name)
	s.uneven = s.uneven || err != nil || at.mode() != unix.S_IFREG
	if err == nil {
		switch at.mode() {
		case unix.S_IFDIR:
			_, err = s.folder(path, at)
		case unix.S_IFREG:
			err = s.file(path, at)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *scan) file(path string, at place) error {
	s.saw(&at.stat)
	s.thawed = s.thawed || !at.frozen()
	if s.mounts.files[at.real] {
		s.on(&at)
		s.watched(at.real, &at.stat) // the folder that it is in shows no change of it
	}
	if !at.frozen() {
		s.written = latest(s.written, at.stat.Ctim)
	}
	s.mark(&at)
	s.files++
	if err := s.room.keep(path); err != nil {
		return err
	}
	if s.cache == nil {
		if err := unix.Faccessat(unix.AT_FDCWD, at.real, unix.R_OK, unix.AT_EACCESS); err != nil {
			return unreadable(at.real, &fs.PathError{Op: "access", Path: at.real, Err: err})
		}
		if s.glance {
			s.entries = append(s.entries, entry{path: path, real: at.real})
		}
		return nil
	}
	c := s.cache.files[at.real]
	same := c != nil && c.version == versionOf(&at.stat)
	if !same || !c.racy.IsZero() && time.Since(c.racy) >= racy {
		read, err := s.cache.read(s.ctx, at.real, 0)
		if err != nil {
			return unreadable(at.real, err)
		}
		switch {
		case at.frozen(): // the kubelet never writes into a folder that it has swapped in
			read.racy = time.Time{}
		case same && read.version == c.version:
			// Once is enough: nothing can have kept its ctime for so long. (With a
			// clock that was set back the ctime would look young for hours.)
			read.racy = time.Time{}
		case s.cache.young(at.real, &read.version):
			read.racy = time.Now()
		}
		c = read
	}
	c.used = s.cache.scan
	s.cache.files[at.real] = c
	s.recheck = s.recheck || !c.racy.IsZero()
	if path == at.real {
		path = at.real // one copy is enough
	}
	s.entries = append(s.entries, entry{path, at.real, c.sum})
	return nil
}

// saw notes the ctime of something that decides what is shown.
func (s *scan) saw(st *unix.Stat_t) { s.newest = latest(s.newest, st.Ctim) }

func byPath(a, b entry) int { return strings.Compare(a.path, b.path) }

// realPaths are where the content that is shown really is.
func (s *scan) realPaths() *[]string {
	files := make([]string, len(s.entries))
	for i, f := range s.entries {
		files[i] = f.real
	}
	return &files
}
