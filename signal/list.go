package signal

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// listed is a process in the list of /proc.
type listed struct {
	pid   int
	inode uint64 // of /proc/PID; 0: unknown
}

// is reports whether it is the process that was known by this pid. An inode of /proc belongs to
// one process, and has a number of its own. The kernel may drop it and make another, but no
// other process gets it (proc_pid_make_inode in fs/proc/base.c).
func (p listed) is(k known) bool { return p.inode != 0 && p.inode == k.inode }

// list appends the processes that /proc shows, by getdents64(2) itself: what os.ReadDir and
// gopsutil return lacks the inodes, which save reading what is in them.
func list(all []listed) ([]listed, error) {
	fd, err := openProc("/proc")
	if err != nil {
		return all, err
	}
	defer unix.Close(fd)
	var buf [8 << 10]byte
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err != nil {
			return all, fmt.Errorf("reading /proc: %w", err)
		}
		if n <= 0 {
			return all, nil
		}
		if all, err = appendListed(all, buf[:n]); err != nil {
			return all, err
		}
	}
}

// appendListed appends the processes among the entries of getdents64(2): the inode, 8 bytes
// that do not matter, the length of the entry, its type, and its name with a zero at the end.
func appendListed(all []listed, b []byte) ([]listed, error) {
	const length, name = 16, 19
	for len(b) > 0 {
		size := 0
		if len(b) > name {
			size = int(binary.NativeEndian.Uint16(b[length:]))
		}
		if size <= name || size > len(b) {
			return all, fmt.Errorf("parsing the entries of /proc: one has %d bytes of %d", size, len(b))
		}
		if pid, ok := number(b[name:size]); ok {
			inode := binary.NativeEndian.Uint64(b)
			if inode == 1 { // what the kernel says if it has no memory for one (proc_fill_cache)
				inode = 0
			}
			all = append(all, listed{pid, inode})
		}
		b = b[size:]
	}
	return all, nil
}

// number parses the digits before a zero.
func number(b []byte) (n int, ok bool) {
	for i, c := range b {
		switch {
		case c == 0:
			return n, i > 0
		case c < '0' || c > '9' || i > 9:
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return 0, false
}
