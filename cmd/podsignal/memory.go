package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// frugal has Go's runtime save memory, of which every pod pays for its own. One loop does
// all the work, some milliseconds at each change: a second processor would only hold
// caches, and wake threads. What lives is a quarter of a MiB, and what a change leaves
// behind about as much, but by default Go lets the heap grow to 4 MiB before it collects.
func frugal() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25) // of those 4 MiB, too
}

// forgetStart lets go of the pages of the binary that are mapped: a fifth of them, more
// than a MiB, only the start has needed. The others come back when they are used, from
// the page cache (MADV_DONTNEED, madvise(2)). It is no loss if that cannot be done.
func forgetStart() {
	binary, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// address perms offset dev inode pathname, proc_pid_maps(5)
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[5] != binary || strings.Contains(fields[1], "w") {
			continue // what has been written to would be lost
		}
		from, to, _ := strings.Cut(fields[0], "-")
		begin, errBegin := strconv.ParseUint(from, 16, 64)
		end, errEnd := strconv.ParseUint(to, 16, 64)
		if errBegin == nil && errEnd == nil {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_DONTNEED)
		}
	}
}
