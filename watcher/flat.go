package watcher

import (
	"slices"

	"golang.org/x/sys/unix"
)

// flat is a plain folder that showed nothing but files, each by its own name. While its
// names and the files are the same, so is what it shows: a look at 10,000 of them then
// makes no paths, and asks for each file by its name in the folder.
type flat struct {
	id     id
	real   string // where links lead
	root   string // the path of FILE that it was found below
	names  []string
	files  []*content // of these names
	sorted []entry    // what it showed, by path
	room   int64      // for their paths
	used   uint64     // the scan that last came across it
}

// remember keeps what a folder showed, if it was flat and none of its files has to be
// read again.
func (s *scan) remember(path string, at *place, names []string, entries []entry) {
	if s.cache == nil || at.frozen() || len(names) == 0 || len(entries) != len(names) {
		return
	}
	f := &flat{id: at.id(), real: at.real, root: s.root, names: names, used: s.cache.scan}
	for i, name := range names {
		c := s.cache.files[entries[i].real]
		if c == nil || !c.racy.IsZero() || entries[i].real != join(at.real, name) {
			return
		}
		f.files = append(f.files, c)
		f.room += int64(len(entries[i].path)) * pathByteBytes
	}
	f.sorted = slices.Clone(entries)
	slices.SortFunc(f.sorted, byPath) // so that the digest has nothing left to sort
	s.cache.flats[path] = f
}

// recallFlat adds what a folder showed when it was remembered, if that is still the same.
func (s *scan) recallFlat(path string, at *place, names []string) bool {
	if s.cache == nil {
		return false
	}
	f := s.cache.flats[path]
	if f == nil || s.holdsMount(at.real) || f.id != at.id() || f.real != at.real || f.root != s.root || !slices.Equal(f.names, names) {
		return false
	}
	dir, err := open(at.real, unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	defer unix.Close(dir)
	var newest unix.Timespec
	var st unix.Stat_t // one for all: it escapes to the heap
	for i, name := range names {
		if s.ctx.Err() != nil || unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			return false
		}
		c := f.files[i]
		if versionOf(&st) != c.version {
			return false
		}
		c.used = s.cache.scan
		if later(st.Ctim, newest) {
			newest = st.Ctim
		}
	}
	f.used = s.cache.scan
	s.entries = append(s.entries, f.sorted...)
	s.files += len(f.sorted)
	s.room.hold(f.room)
	s.thawed = true
	s.newest = latest(s.newest, newest)
	s.written = latest(s.written, newest)
	return true
}

func later(a, b unix.Timespec) bool {
	return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec
}
