// Package hold reads the file that HOLD names: the digests of what a rule may deliver.
package hold

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/watcher"
)

// maxBytes is what is read of the file. All annotations of a pod have 256 KiB at most.
const maxBytes = 1 << 20

// Approvals are what the file says.
type Approvals struct {
	digests map[string]bool // in full, lower case
	Err     error           // the file is missing, or cannot be read; nil: it was read
	Odd     int             // the number of the first line that begins with no digest, which may be secret; 0: there is none
}

// Lacks tells whether one of the digests, in full and lower case, is not approved.
func (a *Approvals) Lacks(digest string) bool { return !a.digests[digest] }

// Len is how many digests are approved.
func (a *Approvals) Len() int { return len(a.digests) }

// Read reads the file. It does not wait for the other end of a FIFO.
func Read(path string) Approvals {
	content, err := read(path)
	if err != nil {
		return Approvals{Err: err}
	}
	return Parse(content)
}

func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(content) > maxBytes {
		err = fmt.Errorf("%s has more than %d bytes", path, maxBytes)
	}
	return content, err
}

// Parse takes the first word of each line, so that it may be as sha256sum prints it.
func Parse(content []byte) Approvals {
	a := Approvals{digests: make(map[string]bool)}
	number := 0
	for line := range bytes.Lines(content) {
		number++
		words := strings.Fields(string(line))
		if len(words) == 0 {
			continue
		}
		digest := strings.ToLower(words[0])
		if b, err := hex.DecodeString(digest); err == nil && len(b) == 32 {
			a.digests[digest] = true
		} else if a.Odd == 0 {
			a.Odd = number
		}
	}
	return a
}

// Settings say which file to follow, and how.
type Settings struct {
	Path    string
	Resync  time.Duration    // interval of a look without an event; 0: none
	Inotify *watcher.Inotify // shared with other Watchers; nil: one of its own
}

// quiet ends a burst of events.
const quiet = 100 * time.Millisecond

// Follow sends what the file says at the start, and whenever that changes, until ctx is done; then
// it returns nil. It is followed as the files of FILE are, through links and the kubelet's swaps.
func Follow(ctx context.Context, s Settings, out chan<- Approvals) error {
	// What it would log is about FILE. What is wrong with this file is in Err.
	w := watcher.New(watcher.Options{
		Paths: []string{s.Path}, Debounce: quiet, Resync: s.Resync, Inotify: s.Inotify,
		Log: slog.New(slog.DiscardHandler),
	})
	looks := make(chan watcher.Snapshot)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, looks) }()
	var last *Approvals
	for {
		select {
		case err := <-ended:
			return err
		case look := <-looks:
			now := Read(s.Path)
			if now.Err == nil && look.Err != nil && !errors.Is(look.Err, os.ErrNotExist) {
				now = Approvals{Err: look.Err}
			}
			if last != nil && last.same(&now) {
				continue
			}
			last = &now
		}
		select {
		case out <- *last:
		case err := <-ended:
			return err
		}
	}
}

func (a *Approvals) same(b *Approvals) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return text(a.Err) == text(b.Err) && a.Odd == b.Odd && reflect.DeepEqual(a.digests, b.digests)
}
