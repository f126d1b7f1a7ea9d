package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// swap is a whole update. Its steps are those of volumetest, which lets nobody take
// the time right before the last call of one; but no key comes or goes.
func (v *volume) swap() (s swap, err error) {
	link, tmp := filepath.Join(v.path, "..data"), filepath.Join(v.path, "..data_tmp")
	old, err := os.Readlink(link)
	if err != nil {
		return s, err
	}
	old = filepath.Join(v.path, old)
	folder, err := os.MkdirTemp(v.path, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return s, err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return s, err
	}
	keys := v.next()
	for key, content := range keys {
		if err := os.WriteFile(filepath.Join(folder, key), []byte(content), 0o644); err != nil {
			return s, err
		}
	}
	if err := os.Symlink(filepath.Base(folder), tmp); err != nil {
		return s, err
	}
	s.renaming = monotonic()
	if err := unix.Rename(tmp, link); err != nil {
		return s, err
	}
	for key := range keys { // that each has its link
		if _, err := os.Readlink(filepath.Join(v.path, key)); err != nil {
			return s, err
		}
	}
	entries, err := os.ReadDir(old)
	if err != nil {
		return s, err
	}
	for _, entry := range entries {
		if err := unix.Unlink(filepath.Join(old, entry.Name())); err != nil {
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
