package watcher

import (
	"bytes"
	"errors"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Opens tells whether files have been opened since it began: by a program that
// reads its configuration anew. (fsnotify does not offer IN_OPEN, inotify(7).)
type Opens struct {
	watcher *Watcher
	fd      int
	names   map[int32]map[string]bool // by watch: the files that matter
}

// Opens begins to watch for the opening of the files that the last settled look
// has shown. Any goroutine may call it.
func (w *Watcher) Opens() (*Opens, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	o := &Opens{watcher: w, fd: fd, names: make(map[int32]map[string]bool)}
	if err := o.Renew(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Renew watches the files that the last settled look has shown, besides those that
// are watched already.
func (o *Opens) Renew() error {
	files := o.watcher.files.Load()
	if files == nil {
		return nil
	}
	var singles map[string]bool
	if known := o.watcher.singles.Load(); known != nil {
		singles = *known
	}
	watches := make(map[string]int32)
	for _, path := range *files {
		dir, name := filepath.Split(path)
		only := uint32(unix.IN_ONLYDIR)
		if singles[path] {
			dir, name, only = path, "", 0 // the kernel tells the folder that it is in on the host
		}
		wd, ok := watches[dir]
		if !ok {
			n, err := unix.InotifyAddWatch(o.fd, dir, unix.IN_OPEN|only)
			if errors.Is(err, unix.ENOENT) {
				continue // changed since: the next look tells
			}
			if err != nil {
				return err
			}
			wd = int32(n)
			watches[dir] = wd
			if o.names[wd] == nil {
				o.names[wd] = make(map[string]bool)
			}
		}
		o.names[wd][name] = true
	}
	return nil
}

// Seen tells whether one of the files has been opened since the last call.
func (o *Opens) Seen() bool {
	seen := false
	var buf [4096]byte
	for {
		n, err := unix.Read(o.fd, buf[:])
		if err != nil || n < unix.SizeofInotifyEvent {
			return seen // EAGAIN: no more events
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent
			name := buf[at : at+int(event.Len)]
			at += int(event.Len)
			if event.Mask&unix.IN_IGNORED != 0 {
				delete(o.names, event.Wd) // the folder is gone
			}
			if end := bytes.IndexByte(name, 0); end >= 0 {
				name = name[:end]
			}
			seen = seen || event.Mask&unix.IN_ISDIR == 0 && o.names[event.Wd][string(name)]
		}
		if n+unix.SizeofInotifyEvent+unix.NAME_MAX+1 <= len(buf) {
			return seen // another would have fitted in: there were no more
		}
	}
}

// FD is the descriptor, which can be read when a file has been opened since Seen.
func (o *Opens) FD() int { return o.fd }

// Close ends it.
func (o *Opens) Close() error { return unix.Close(o.fd) }
