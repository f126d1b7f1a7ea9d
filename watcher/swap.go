package watcher

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// again brings a scan up to date where the kubelet has swapped volumes, and nothing else has
// changed since: the names, the links to ..data and the folders to be watched are the same, and
// only the files are read where ..data leads to now. It tells whether that is all there is to
// see. If not, the scan is of no use any more. All that it has shown must be files of volumes,
// each with a link of its own: what comes and goes elsewhere in there has no event.
func (s *scan) again(ctx context.Context) bool {
	if s == nil {
		return false
	}
	s.ctx = ctx
	s.cache.scan++
	now := make(map[string]string, len(s.data)) // where ..data leads, by where it led
	for volume, data := range s.data {
		dir := filepath.Dir(data.real)
		var st unix.Stat_t
		target, err := os.Readlink(join(dir, dataLink))
		if err != nil || strings.Contains(target, "/") || unix.Lstat(dir, &st) != nil || volume != (id{st.Dev, st.Ino}) {
			return false
		}
		s.saw(&st)
		s.entered = latest(s.entered, st.Ctim)
		now[data.real] = join(dir, target)
		data.real = now[data.real]
		data.volume = data.real
		s.data[volume] = data
	}
	for i := range s.entries {
		e := &s.entries[i]
		folder, name := filepath.Split(e.real)
		data, ok := now[strings.TrimSuffix(folder, "/")]
		if !ok || ctx.Err() != nil {
			return false
		}
		e.real = data + "/" + name
		read, err := s.cache.read(ctx, e.real, unix.O_NOFOLLOW)
		if err != nil {
			return false
		}
		s.newest = latest(s.newest, read.ctime)
		read.racy, read.used = time.Time{}, s.cache.scan // the kubelet never writes there again
		s.cache.files[e.real], e.sum = read, read.sum
	}
	return true
}
