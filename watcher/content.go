package watcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
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
	racy time.Time // when it was read within racy of its ctime, or may have been; else zero
	used uint64    // the scan that last came across it
}

// cache is what scans remember.
type cache struct {
	files  map[string]*content // by real path
	flats  map[string]*flat    // by the path that led to it
	clocks map[uint64]*clock   // by device
	scan   uint64
	buf    []byte
}

func newCache() *cache {
	return &cache{
		files:  make(map[string]*content),
		flats:  make(map[string]*flat),
		clocks: make(map[uint64]*clock),
	}
}

// read hashes a regular file. It does not wait for the other end if the file has
// become a FIFO.
func (c *cache) read(ctx context.Context, path string, flags int) (*content, error) {
	fd, err := open(path, unix.O_NONBLOCK|flags)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
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
		c.buf = make([]byte, 8<<10) // a size that os reads folders with too: each one costs Go 16 KiB
	}
	h := sha256.New()
	// What is written behind the size of now comes with an event of its own.
	for rest := st.Size; ; {
		n, err := unix.Read(fd, c.buf)
		if errors.Is(err, unix.EINTR) { // some file systems, such as FUSE
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			break
		}
		h.Write(c.buf[:n])
		if rest -= int64(n); rest == 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	h.Sum(got.sum[:0])
	return got, nil
}

// open opens for reading. os.Open takes six system calls for one: it asks whether what
// it has opened can be polled.
func open(path string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

// forget drops what the last scan did not come across.
func (c *cache) forget() {
	for path, f := range c.files {
		if f.used != c.scan {
			delete(c.files, path)
		}
	}
	for path, f := range c.flats {
		if f.used != c.scan {
			delete(c.flats, path)
		}
	}
}
