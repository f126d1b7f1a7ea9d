// Package volumetest writes a folder exactly as the kubelet writes a ConfigMap,
// Secret or projected volume, so that tests and the demo need no cluster.
//
// The steps and their order are those of the kubelet's atomic writer
// (pkg/volume/util/atomic_writer.go in kubernetes/kubernetes).
package volumetest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	dataLink    = "..data"
	newDataLink = "..data_tmp"
)

// Files is the payload of a volume: content by path. A path with a slash is what
// `items` with a slash in `path` makes: a nested file.
type Files map[string]string

// Write makes dir show files and nothing else: one whole update, as the kubelet
// does it. The folder is made if it does not exist.
func Write(dir string, files Files) error {
	u, err := Begin(dir, files)
	if err != nil {
		return err
	}
	if err := u.Swap(); err != nil {
		return err
	}
	return u.Finish()
}

// An Update is an update that stops between the kubelet's steps: Begin, Swap,
// Finish, or Begin, Abort.
type Update struct {
	dir      string
	files    Files
	old, new string // timestamped folders, relative to dir; old is empty at the first write
}

// Begin writes files to a new timestamped folder. Readers see no change yet.
func Begin(dir string, files Files) (*Update, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	stamped, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(stamped, 0o755); err != nil {
		return nil, err
	}
	for name, content := range files {
		path := filepath.Join(stamped, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return &Update{dir: dir, files: files, old: old, new: filepath.Base(stamped)}, nil
}

// Swap points ..data to the new folder by rename(2): from here on readers see
// the new content of the keys that they saw before.
func (u *Update) Swap() error {
	tmp := filepath.Join(u.dir, newDataLink)
	if err := os.Symlink(u.new, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(u.dir, dataLink))
}

// Finish links new keys, unlinks those that are gone, and removes the old folder.
func (u *Update) Finish() error {
	top := make(map[string]bool)
	for name := range u.files {
		first, _, _ := strings.Cut(name, "/")
		top[first] = true
	}
	for name := range top {
		err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(u.dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, "..") && !top[name] {
			if err := os.Remove(filepath.Join(u.dir, name)); err != nil {
				return err
			}
		}
	}
	if u.old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(u.dir, u.old))
}

// Abort removes the new folder, as the kubelet does when writing it failed.
func (u *Update) Abort() error {
	return os.RemoveAll(filepath.Join(u.dir, u.new))
}
