package watcher

import (
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// racy is how long after its ctime a file may be written again without a change of
// that ctime: the kernel's clock for it ticks every 1 to 10 ms.
const racy = 100 * time.Millisecond

// id names a folder or file whatever its path: a bind mount shows one twice, a
// folder made anew has another.
type id struct{ dev, ino uint64 }

// version tells whether a file could have changed since it was read. The ctime
// cannot be set back by a program, unlike the mtime.
type version struct {
	id
	size  int64
	ctime unix.Timespec
}

func versionOf(st *unix.Stat_t) version {
	return version{id{st.Dev, st.Ino}, st.Size, st.Ctim}
}

// content is what is remembered of a file, so that it is read again only if it
// could have changed.
type content struct {
	version
	sum  [sha256.Size]byte
	racy time.Time // when it was read within racy of its ctime; else zero
	used uint64    // the scan that last came across it
}

// cache holds contents by real path.
type cache struct {
	files map[string]*content
	scan  uint64
	buf   []byte
}

// read hashes a regular file. It does not wait for the other end if the file has
// become a FIFO.
func (c *cache) read(ctx context.Context, path string) (*content, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fs.ErrNotExist
	}
	got := &content{version: versionOf(&st)}
	if now := time.Now(); now.Sub(time.Unix(st.Ctim.Unix())) < racy {
		got.racy = now
	}
	if c.buf == nil {
		c.buf = make([]byte, 64<<10)
	}
	h := sha256.New()
	for {
		n, err := f.Read(c.buf)
		h.Write(c.buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	h.Sum(got.sum[:0])
	return got, nil
}

// forget drops what the last scan did not come across.
func (c *cache) forget() {
	for path, f := range c.files {
		if f.used != c.scan {
			delete(c.files, path)
		}
	}
}
