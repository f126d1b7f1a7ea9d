package httpcall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// maxFile is for certificates and credentials: all authorities of the web are 220 KB.
const maxFile = 1 << 20

// ReadSetting reads the file that a variable names. It does not open what is not a file:
// to open a FIFO is to wait for its writer.
func ReadSetting(variable, path string) ([]byte, error) {
	wrap := func(text string) error { return fmt.Errorf("%s=%q %s", variable, path, text) }
	var content []byte
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, wrap("is not a file: name the file itself")
	case info.Size() > maxFile:
		return nil, wrap("is larger than 1 MiB: name the right file")
	default:
		content, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, wrap("does not exist: mount the volume there, or fix the path")
	case errors.Is(err, fs.ErrPermission):
		return nil, wrap(fmt.Sprintf("is not readable by podsignal's uid %d: set securityContext.runAsUser to its owner, "+
			"or the pod's fsGroup and the volume's defaultMode: 0440", os.Geteuid()))
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", variable, err)
	}
	return content, nil
}
