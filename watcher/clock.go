package watcher

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A clock is that by which a file system's ctimes are made: this kernel's, or a file
// server's, which may be behind, so that what is written now seems to be old.
type clock struct {
	ours   bool
	newest unix.Timespec // of the ctimes that have been seen: it was later there by then
}

// young tells whether a file that has just been read may be written again without a
// change of its ctime, going by the clock of a file server.
func (c *cache) young(path string, v *version) bool {
	k := c.clocks[v.dev]
	if k == nil {
		k = &clock{ours: local(path)}
		c.clocks[v.dev] = k
	}
	return !k.ours && k.young(v.ctime)
}

func (k *clock) young(ctime unix.Timespec) bool {
	if later(ctime, k.newest) {
		k.newest = ctime
	}
	return time.Duration(k.newest.Nano()-ctime.Nano()) < racy
}

// locals are file systems that take ctimes from this kernel's clock (statfs(2)).
var locals = []int64{
	unix.BTRFS_SUPER_MAGIC, unix.EXT4_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
	unix.RAMFS_MAGIC, unix.TMPFS_MAGIC, unix.XFS_SUPER_MAGIC,
}

func local(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && slices.Contains(locals, st.Type)
}
