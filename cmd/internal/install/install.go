// Package install is podsignal install: it copies podsignal into a folder that containers share,
// so that it can run in the image of a program that has what VALIDATE needs.
package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// name is that of the copy.
const name = "podsignal"

// Run copies the running binary into a folder that is there, under its name, with mode 0755. A
// copy that is there is replaced at once: whoever runs it goes on with the old one.
func Run(folder string, out io.Writer) error {
	path := filepath.Join(folder, name)
	if err := copyTo(folder, path); err != nil {
		return fmt.Errorf("installing %s: %w", path, explain(err))
	}
	_, err := fmt.Fprintln(out, "installed", path)
	return err
}

func copyTo(folder, path string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.CreateTemp(folder, name+".*.tmp")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Chmod(0o755), to.Close()) // whatever the umask is
	if err == nil {
		err = os.Rename(to.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(to.Name()))
	}
	return err
}

// explain adds the fix.
func explain(err error) error {
	for cause, fix := range map[error]string{
		fs.ErrNotExist:   "mount the folder that both containers share, such as an emptyDir, there",
		syscall.ENOTDIR:  "use the folder that both containers share, such as an emptyDir",
		syscall.EEXIST:   "remove the folder that has the name of the copy",
		syscall.EROFS:    "mount the folder without readOnly in this container",
		fs.ErrPermission: "run this as a user that may write there",
		syscall.ENOSPC:   "raise the folder's size limit",
	} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w: %s", err, fix)
		}
	}
	return err
}
