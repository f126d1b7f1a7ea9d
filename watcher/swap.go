package watcher

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ofOneVolume tells whether a scan has found nothing but keys of one volume, without a link on the
// way to it, and no folder in it. What comes and goes there has an event, but for the content
// that the kubelet swaps.
func (s *scan) ofOneVolume() bool {
	if s.thawed || s.uneven || len(s.data) != 1 {
		return false
	}
	data := s.onlyData()
	volume := filepath.Dir(data)
	for i := range s.shown {
		p := &s.shown[i]
		whole := p.kind == KindVolume && p.path == volume
		key := p.kind == KindInVolume && filepath.Dir(p.path) == volume
		if !whole && !key {
			return false
		}
	}
	for _, e := range s.entries {
		if e.real != join(data, filepath.Base(e.path)) { // there are links behind ..data too
			return false
		}
	}
	return true
}

// onlyData is where ..data leads in a scan ofOneVolume.
func (s *scan) onlyData() string {
	for _, data := range s.data {
		return data.real
	}
	return ""
}

// leadsTo tells whether one of the volumes shows the folder of this name.
func (s *scan) leadsTo(folder string) bool {
	for _, data := range s.data {
		if filepath.Base(data.real) == folder {
			return true
		}
	}
	return false
}

// again brings a scan ofOneVolume up to date, where nothing but the kubelet's own entries has
// changed since, and its last step has ended the update that made this folder: only the files are
// read. It tells whether that is all there is to see. If not, the scan is of no use any more.
func (s *scan) again(ctx context.Context, folder string) bool {
	if s == nil || folder == "" {
		return false
	}
	s.ctx = ctx
	s.cache.scan++
	volume := filepath.Dir(s.onlyData())
	data := place{real: join(volume, folder)}
	data.volume = data.real
	var st unix.Stat_t
	target, err := os.Readlink(join(volume, dataLink))
	if err != nil || target != folder || unix.Lstat(volume, &st) != nil || unix.Lstat(data.real, &data.stat) != nil {
		return false
	}
	if _, same := s.data[id{st.Dev, st.Ino}]; !same || data.mode() != unix.S_IFDIR {
		return false
	}
	s.data[id{st.Dev, st.Ino}] = data
	s.newest = time.Unix(st.Ctim.Unix()) // the last step changed it last
	s.entered = s.newest
	for i := range s.entries {
		if ctx.Err() != nil {
			return false
		}
		e := &s.entries[i]
		e.real = join(data.real, filepath.Base(e.path))
		read, err := s.cache.read(ctx, e.real, unix.O_NOFOLLOW)
		if err != nil {
			return false
		}
		read.racy, read.used = time.Time{}, s.cache.scan // the kubelet never writes there again
		s.cache.files[e.real], e.sum = read, read.sum
	}
	return true
}
