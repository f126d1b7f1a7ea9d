package watcher

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ofOneVolume tells whether a scan has found nothing but files of one volume, without a link on
// the way to it, each by its own link there. What comes and goes there then has an event, but
// for the content that the kubelet swaps.
func (s *scan) ofOneVolume() bool {
	if s.thawed || s.uneven || len(s.data) != 1 {
		return false
	}
	volume := s.volume()
	for i := range s.shown {
		p := &s.shown[i]
		whole := p.kind == KindVolume && p.path == volume
		key := p.kind == KindInVolume && filepath.Dir(p.path) == volume
		if !whole && !key {
			return false
		}
	}
	return true
}

// volume is the folder of a volume that was come across.
func (s *scan) volume() string {
	for _, data := range s.data {
		return filepath.Dir(data.real)
	}
	return ""
}

// leadsTo tells whether a volume that was come across shows the folder of this name.
func (s *scan) leadsTo(folder string) bool {
	for _, data := range s.data {
		if filepath.Base(data.real) == folder {
			return true
		}
	}
	return false
}

// again brings a scan ofOneVolume up to date where nothing but the kubelet's own entries has
// changed since, and its last step ended the update that made this folder: only the files are
// read. It tells whether that is all there is to see. If not, the scan is of no use any more.
func (s *scan) again(ctx context.Context, folder string) bool {
	if s == nil || folder == "" {
		return false
	}
	s.ctx = ctx
	s.cache.scan++
	volume := s.volume()
	data := place{real: join(volume, folder)}
	data.volume = data.real
	var st unix.Stat_t
	target, err := os.Readlink(join(volume, dataLink))
	if err != nil || target != folder || unix.Lstat(volume, &st) != nil || unix.Lstat(data.real, &data.stat) != nil {
		return false
	}
	key := id{st.Dev, st.Ino}
	if _, same := s.data[key]; !same || data.mode() != unix.S_IFDIR {
		return false
	}
	before := s.data[key].real
	s.saw(&st)
	s.entered = latest(s.entered, st.Ctim)
	s.data[key] = data
	for i := range s.entries {
		e := &s.entries[i]
		if filepath.Dir(e.real) != before || ctx.Err() != nil {
			return false
		}
		e.real = join(data.real, filepath.Base(e.real))
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
