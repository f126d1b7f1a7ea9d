package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// A volume is one of a pod's, written from outside, as by the kubelet.
type volume struct {
	path   string
	keys   int
	serial int // of its content
}

// next is the content that comes next: one key differs. All have the size of a
// small configuration.
func (v *volume) next() volumetest.Files {
	v.serial++
	files := make(volumetest.Files, v.keys)
	for i := range v.keys {
		files[fmt.Sprintf("key%d.conf", i)] = fmt.Sprintf("%0200d\n", i)
	}
	files["key0.conf"] = fmt.Sprintf("%0200d\n", v.serial)
	return files
}

// write makes the first content of the volume.
func (v *volume) write() error { return volumetest.Write(v.path, v.next()) }

// swap is a whole update. The last step is that of Update.Finish, but with the time
// right before its last call; no key comes or goes, so that there is no more to do.
func (v *volume) swap() (s swap, err error) {
	old, err := os.Readlink(filepath.Join(v.path, "..data"))
	if err != nil {
		return s, err
	}
	old = filepath.Join(v.path, old)
	update, err := volumetest.Begin(v.path, v.next())
	if err != nil {
		return s, err
	}
	s.renaming = monotonic()
	if err := update.Swap(); err != nil {
		return s, err
	}
	keys, err := os.ReadDir(old)
	if err != nil {
		return s, err
	}
	for _, key := range keys {
		if err := unix.Unlink(filepath.Join(old, key.Name())); err != nil {
			return s, err
		}
	}
	s.removing = monotonic()
	return s, unix.Rmdir(old)
}

// monotonic is the clock of the target too.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails for no clock that exists
	return ts.Nano()
}
