package watcher

import (
	"maps"
	"slices"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// shared is a watch. The kernel has one for each folder, whatever path leads there.
type shared struct {
	id      id
	path    string             // that fsnotify knows
	holders map[*member]string // by which path each knows it
	dead    bool               // fsnotify has dropped it, or had to
}

// add watches a folder for m. Where there is a watch already, m joins: if it is dead,
// the list that follows each add tells.
func (in *instance) add(m *member, path string) error {
	if !in.usable() {
		return nil // m knows already
	}
	_ = in.remove(m, path)
	key, err := identify(path)
	if err != nil {
		return err
	}
	s := in.ids[key]
	if s != nil && s.holders[m] != "" { // the folder was moved
		_ = in.remove(m, s.holders[m])
		s = in.ids[key]
	}
	if s != nil {
		in.hold(m, s, path)
		return nil
	}
	if old := in.paths[path]; old != nil {
		in.drop(old)
	}
	s = &shared{id: key, path: path, holders: make(map[*member]string)}
	in.hold(m, s, path) // before the first event
	err = in.fsnotify.Add(path)
	if err == nil {
		// It may have become another folder on the way.
		if now, gone := identify(path); gone != nil || now != key {
			err = unix.ENOENT
		}
	}
	if err != nil {
		_ = in.remove(m, path)
	}
	return err
}

// hold gives m a part in a watch.
func (in *instance) hold(m *member, s *shared, path string) {
	in.routes.Lock()
	defer in.routes.Unlock()
	in.ids[s.id], in.paths[s.path] = s, s
	s.holders[m], m.watches[path] = path, s
}

// drop gives up a watch that fsnotify knows by a path that leads to another folder
// now. Who followed it by that path must look where it leads, who followed it by
// another has to add it by that one.
func (in *instance) drop(s *shared) {
	_ = in.fsnotify.Remove(s.path) // the kernel may have done so already
	in.routes.Lock()
	defer in.routes.Unlock()
	in.forget(s)
	for m := range s.holders {
		m.lose(fsnotify.ErrEventOverflow)
	}
}

// forget takes a watch that is gone off the routes.
func (in *instance) forget(s *shared) {
	s.dead = true
	delete(in.paths, s.path)
	delete(in.ids, s.id)
}

// remove ends m's part in a watch, and the watch with its last holder.
func (in *instance) remove(m *member, path string) error {
	s := m.watches[path]
	if s == nil {
		return fsnotify.ErrNonExistentWatch
	}
	delete(m.watches, path)
	in.routes.Lock()
	delete(s.holders, m)
	last := len(s.holders) == 0 && !s.dead
	if last {
		in.forget(s)
	}
	in.routes.Unlock()
	if !last {
		return nil
	}
	return in.fsnotify.Remove(s.path)
}

// list returns the paths that are still watched for m. The others that hold a watch which
// is found dead hear of it, since fsnotify's event of its end finds nobody any more, and
// there is none of an unmount.
func (in *instance) list(m *member) (paths []string) {
	if !in.usable() {
		return nil
	}
	alive := make(map[string]bool)
	for _, path := range in.fsnotify.WatchList() {
		alive[path] = true
	}
	in.routes.Lock()
	defer in.routes.Unlock()
	for path, s := range in.paths {
		if alive[path] {
			continue
		}
		in.forget(s)
		for other, path := range s.holders {
			if other != m {
				other.send(fsnotify.Event{}, path)
			}
		}
	}
	for path, s := range m.watches {
		if !s.dead {
			paths = append(paths, path)
		}
	}
	return paths
}

// leave ends m, and the instance with its last member.
func (in *instance) leave(m *member) error {
	for _, path := range slices.Collect(maps.Keys(m.watches)) {
		_ = in.remove(m, path) // the kernel may have done so already
	}
	in.routes.Lock()
	delete(in.members, m)
	last := len(in.members) == 0 && !in.broken
	in.broken = in.broken || last
	in.routes.Unlock()
	if last {
		in.close()
	}
	return nil
}

// identify tells which folder inotify would watch.
func identify(path string) (id, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return id{}, err
	}
	return id{st.Dev, st.Ino}, nil
}
