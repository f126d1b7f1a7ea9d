//go:build soak

package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// content is newer than any other.
func (s *soak) content() string {
	s.serial++
	return strconv.Itoa(s.serial) + "\n"
}

// payload is the next content of a volume: keys come and go.
func (s *soak) payload(volume string) volumetest.Files {
	content := s.content()
	files := volumetest.Files{"a": content, "b": content}
	for _, key := range []string{"c", "nested/one", "nested/deep/two"} {
		if s.IntN(3) == 0 {
			files[key] = content
		}
	}
	s.volumes[volume] = files
	return files
}

func (s *soak) volume() string {
	return []string{"v1", "v2", "v3", "secret"}[s.IntN(4)]
}

func (s *soak) swap(volume string) {
	s.change(func() { check(s.t, volumetest.Write(s.path(volume), s.payload(volume))) }, volume)
}

func (s *soak) begin(volume string) *volumetest.Update {
	u, err := volumetest.Begin(s.path(volume), s.payload(volume))
	check(s.t, err)
	return u
}

// pair are two volumes of a rule, which the kubelet updates in one pass.
func (s *soak) pair() (one, other string) {
	pairs := [][]string{{"v1", "v2"}, {"v1", "v3"}, {"v2", "v3"}, {"v1", "secret"}, {"secret", "v2"}, {"v3", "secret"}}
	pair := pairs[s.IntN(len(pairs))]
	i := s.IntN(2)
	return pair[i], pair[1-i]
}

// twoSwaps changes two volumes, the second in the middle of the first or right after it.
func (s *soak) twoSwaps() {
	one, other := s.pair()
	s.change(func() {
		u, v := s.begin(one), s.begin(other)
		check(s.t, u.Swap())
		s.step(3 * time.Millisecond)
		switch s.IntN(3) {
		case 0:
			check(s.t, v.Swap())
			check(s.t, u.Finish())
		case 1:
			check(s.t, v.Swap())
			check(s.t, v.Finish())
			s.step(3 * time.Millisecond)
			check(s.t, u.Finish())
			return
		case 2:
			check(s.t, u.Finish())
			s.step(quietTime / 3)
			check(s.t, v.Swap())
		}
		s.step(3 * time.Millisecond)
		check(s.t, v.Finish())
	}, one, other)
}

// oneAfterAnother changes two volumes, the second from its first step on right after the
// last of the first.
func (s *soak) oneAfterAnother() {
	one, other := s.pair()
	s.change(func() {
		check(s.t, volumetest.Write(s.path(one), s.payload(one)))
		s.step(quietTime / 3)
		check(s.t, volumetest.Write(s.path(other), s.payload(other)))
	}, one, other)
}

func (s *soak) abort() {
	volume := s.volume()
	before := s.volumes[volume]
	s.change(func() {
		u := s.begin(volume)
		s.rest(time.Duration(s.IntN(200)) * time.Millisecond)
		check(s.t, u.Abort())
	}, volume)
	s.volumes[volume] = before
}

// unfinished shows the new contents of old keys first, and what the kubelet does
// about the other keys only when it is back.
func (s *soak) unfinished() {
	volume := s.volume()
	var u *volumetest.Update
	s.change(func() {
		u = s.begin(volume)
		check(s.t, u.Swap())
	}, volume)
	if s.IntN(2) == 0 {
		s.quiet()
	}
	s.change(func() { check(s.t, u.Finish()) }, volume)
}

func (s *soak) burst() {
	for range 5 + s.IntN(36) {
		s.swap(s.volume())
	}
}

// back changes a volume back while the change is delivered, or before or after that.
func (s *soak) back() {
	volume := s.volume()
	before := s.volumes[volume]
	s.swap(volume)
	s.rest(time.Duration(s.IntN(1000)) * time.Millisecond)
	s.volumes[volume] = before
	s.change(func() { check(s.t, volumetest.Write(s.path(volume), before)) }, volume)
}

// touch is not a change. A target that may be reading when bytes are written is notified once
// more all the same, but not when there is no more than new attributes.
func (s *soak) touch() {
	file := s.path("plain/two")
	switch s.IntN(4) {
	case 0:
		volume := s.volume()
		s.change(func() { check(s.t, volumetest.Write(s.path(volume), s.volumes[volume])) }, volume)
	case 1:
		s.change(func() { check(s.t, os.Chmod(file, fs.FileMode(0o600+s.IntN(2)*0o44))) })
	case 2:
		now := time.Now()
		s.change(func() { check(s.t, os.Chtimes(file, now, now)) })
	case 3:
		s.change(func() {
			// Not truncated: a target that reads then would have to be told.
			same, err := os.ReadFile(file)
			check(s.t, err)
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			check(s.t, err)
			_, err = f.Write(same)
			check(s.t, err)
			check(s.t, f.Close())
		}, "plain")
	}
}

func (s *soak) write(name, content string) {
	check(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	check(s.t, os.WriteFile(s.path(name), []byte(content), 0o644))
}

// file is one of those that are not in a volume, and the folder that it is in.
func (s *soak) file() (name, folder string) {
	name = []string{"plain/one", "plain/two", "plain/sub/three", "link/sub/conf", "real1/sub/conf"}[s.IntN(5)]
	folder, _, _ = strings.Cut(name, "/")
	return name, folder
}

func (s *soak) pieces() {
	name, folder := s.file()
	s.change(func() {
		f, err := os.Create(s.path(name))
		check(s.t, err)
		for range 10 {
			_, err := fmt.Fprintf(f, "%d,", s.serial)
			check(s.t, err)
			s.step(20 * time.Millisecond)
		}
		_, err = f.WriteString(s.content())
		check(s.t, err)
		check(s.t, f.Close())
	}, folder)
}

func (s *soak) rename() {
	name, folder := s.file()
	s.change(func() {
		s.write("new", s.content())
		check(s.t, os.Rename(s.path("new"), s.path(name)))
	}, folder)
}

func (s *soak) truncate() {
	name, folder := s.file()
	s.change(func() {
		check(s.t, os.Truncate(s.path(name), 0))
		s.step(quietTime / 3)
		s.write(name, s.content())
	}, folder)
}

func (s *soak) newFolder() {
	s.change(func() {
		content := s.content()
		check(s.t, os.RemoveAll(s.path("plain")))
		s.step(quietTime / 3)
		for _, name := range []string{"plain/one", "plain/two", "plain/sub/three"} {
			s.write(name, content)
		}
	}, "plain")
}

func (s *soak) subFolder() {
	s.change(func() {
		name := fmt.Sprintf("plain/%c", 'p'+s.IntN(4))
		if err := os.RemoveAll(s.path(name)); s.IntN(2) == 0 {
			check(s.t, err)
			s.write(name+"/deep/file", s.content())
		}
	}, "plain")
}

func (s *soak) link() {
	s.change(func() {
		now, err := os.Readlink(s.path("link"))
		check(s.t, err)
		next := map[string]string{"real0": "real1", "real1": "real0"}[now]
		s.write(next+"/sub/conf", s.content())
		s.point(next)
	}, "link", "real0", "real1")
}

func (s *soak) point(to string) {
	check(s.t, os.Symlink(to, s.path("next")))
	check(s.t, os.Rename(s.path("next"), s.path("link")))
}

// takenBack makes a change that may end as it was, of which only those are notified that may
// be reading meanwhile. One that begins to read more than a second after its signal is
// none of these, and nobody knows what it reads.
func (s *soak) takenBack(edit func(), names ...string) {
	if s.IntN(2) == 0 {
		s.quiet()
	}
	begin := time.Now()
	s.ask() // what was sent before has been taken
	late := false
	s.change(func() {
		late = time.Since(begin) > readWindow/4
		edit()
	}, names...)
	if late {
		s.mark()
	}
}

// linkAndBack shows something else for a moment.
func (s *soak) linkAndBack() {
	s.takenBack(func() {
		now, err := os.Readlink(s.path("link"))
		check(s.t, err)
		s.point(map[string]string{"real0": "real1", "real1": "real0"}[now])
		s.step(quietTime / 3)
		s.point(now)
	}, "link")
}

// away moves a path out of sight for a while, in which another changes. That must
// wait: it shows in the number of signals.
func (s *soak) away() {
	name := []string{"v1", "plain", "real0", "real1"}[s.IntN(4)]
	s.takenBack(func() {
		check(s.t, os.Rename(s.path(name), s.path("away")))
		if s.IntN(2) == 0 {
			s.rest(time.Duration(s.IntN(500)) * time.Millisecond)
			other := []string{"v2", "v3"}[s.IntN(2)]
			check(s.t, volumetest.Write(s.path(other), s.payload(other)))
		}
		s.rest(time.Duration(s.IntN(1500)) * time.Millisecond)
		check(s.t, os.Rename(s.path("away"), s.path(name)))
	}, name)
}

func (s *soak) remount() {
	s.quiet()
	s.change(func() {
		files := s.volumes["secret"]
		if s.IntN(2) == 0 {
			files = s.payload("secret")
		}
		check(s.t, s.unmount("secret"))
		s.rest(time.Duration(s.IntN(1500)) * time.Millisecond)
		s.mountSecret()
		s.rest(time.Duration(s.IntN(200)) * time.Millisecond)
		check(s.t, volumetest.Write(s.path("secret"), files))
	}, "secret")
	// While it is mounted and empty, targets mount it again, and that may be delivered.
	for _, r := range s.rules {
		if r.watches([]string{"secret"}) {
			r.allow(1)
		}
	}
}

func (s *soak) flood(pairs int) {
	s.change(func() {
		begin := time.Now()
		for i := range pairs {
			name := s.path("plain/" + strconv.Itoa(i%7))
			check(s.t, os.WriteFile(name, nil, 0o644))
			check(s.t, os.Remove(name))
		}
		s.paused += time.Since(begin) // it has no pauses that could end a burst
		s.slow = time.Since(begin) > 10*quietTime
		if s.IntN(2) == 0 {
			s.write("plain/two", s.content())
		}
	}, "plain")
}
