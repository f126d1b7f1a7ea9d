package watcher

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// InotifyLimits are the node's limits for each uid (inotify(7)), and how much of
// them is taken. What other containers have taken is not visible.
type InotifyLimits struct {
	Instances, MaxInstances int // 0 as the limit: it cannot be read
	Watches, MaxWatches     int
}

func readLimits() InotifyLimits {
	l := InotifyLimits{MaxInstances: sysctl("max_user_instances"), MaxWatches: sysctl("max_user_watches")}
	// Descriptors of other uids cannot be read, nor do they count.
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is good
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != "anon_inode:inotify" || !ours(fd) {
			continue
		}
		l.Instances++
		info, err := os.ReadFile(strings.Replace(fd, "/fd/", "/fdinfo/", 1))
		if err == nil {
			l.Watches += bytes.Count(info, []byte("inotify wd:"))
		}
	}
	return l
}

// ours tells whether a process's descriptor counts for our uid, as which the
// process runs then.
func ours(fd string) bool {
	info, err := os.Stat(filepath.Dir(filepath.Dir(fd)))
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

func sysctl(name string) int {
	b, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
	n, e := strconv.Atoi(string(bytes.TrimSpace(b)))
	if errors.Join(err, e) != nil {
		return 0
	}
	return n
}
