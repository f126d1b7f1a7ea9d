// Package status has the running podsignal keep its status where podsignal status reads it:
// in memory files that belong to it (memfd_create(2)), without a listener.
package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
)

// memoryFile is the name of each, of which /proc/PID/fd shows /memfd:NAME.
const memoryFile = "podsignal-status"

// A Document is what a running podsignal says of one rule.
type Document struct {
	Version string `json:"version"`
	*deliver.Status
	Written deliver.Moment `json:"written"`
	Due     deliver.Moment `json:"due,omitzero"` // when it is written again at the latest; later, the delivery loop is stuck
}

// A Board shows one rule's status. It belongs to one goroutine.
type Board struct{ fd int }

// NewBoard shows nothing yet. Where the kernel has no memory files, nothing is ever shown.
func NewBoard() (*Board, error) {
	fd, err := unix.MemfdCreate(memoryFile, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating a memory file: %w", err)
	}
	return &Board{fd}, nil
}

// Show replaces what is shown, at once: whoever reads it sees either what was there before or
// all of this, since the new file takes the place of the old one in a single step (dup3(2)).
func (b *Board) Show(s *deliver.Status, due time.Time) error {
	content, err := json.Marshal(Document{build.Version, s, deliver.Moment{Time: time.Now()}, deliver.Moment{Time: due}})
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate(memoryFile, unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, content) // to memory, all of it
	if err == nil {
		err = unix.Dup3(fd, b.fd, unix.O_CLOEXEC)
	}
	return errors.Join(err, unix.Close(fd))
}
