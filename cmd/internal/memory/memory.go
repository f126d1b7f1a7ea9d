// Package memory keeps the memory small that each pod pays for.
package memory

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// TuneRuntime has Go's runtime save memory, of which every pod pays for its own. One loop does
// all the work, some milliseconds at each change: a second processor would only hold
// caches, and wake threads. What lives is a quarter of a MiB, and what a change leaves
// behind about as much, but by default Go lets the heap grow to 4 MiB before it collects.
func TuneRuntime() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25) // of those 4 MiB, too
}

// worthIt is how much garbage is worth its collection, half a millisecond of CPU.
const worthIt = 256 << 10

// heap is what was known of it last. Several loops may ask.
var heap struct {
	sync.Mutex
	runtime.MemStats
	collections uint32
	kept        uint64 // bytes that the last collection has left
}

// Collect collects what changes have left behind, if it is much. Go itself waits until there
// is a MiB of garbage, whatever the percentage (sweepMinHeapDistance in runtime/mgcpacer.go).
// The pages that are free then are kept for the next change: to get them back from the kernel
// would make its signal wait.
func Collect() {
	heap.Lock()
	defer heap.Unlock()
	runtime.ReadMemStats(&heap.MemStats)
	if heap.NumGC != heap.collections {
		heap.collections, heap.kept = heap.NumGC, heap.HeapAlloc
	}
	if heap.HeapAlloc > heap.kept+worthIt {
		runtime.GC()
	}
}

// DropStartupPages lets go of the pages of the binary that are mapped: a fifth of them, more
// than a MiB, only the start has needed. The others come back when they are used, from
// the page cache (MADV_DONTNEED, madvise(2)). It is no loss if that cannot be done.
func DropStartupPages() {
	binary, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	for _, m := range unwritten(smaps, binary) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ begin, end uintptr }

// unwritten are the mappings of a file of which no page has been written to, now or ever:
// what has been is no longer in the file, and would be lost. That one may not be written
// to now is not enough. In a binary built as PIE some are relocated first, and made
// read-only then; and a debugger puts its breakpoints into code.
//
// smaps is /proc/PID/smaps. What has been written to is anonymous memory there, or in swap
// (proc_pid_smaps(5)).
func unwritten(smaps io.Reader, file string) (all []mapping) {
	var m mapping
	var ofFile, known, written bool // of m
	add := func() {
		if ofFile && known && !written {
			all = append(all, m)
		}
	}
	// Of each mapping a line as in maps: address perms offset dev inode pathname. Then lines
	// such as Anonymous: 0 kB, hundreds in all: they are not made into strings.
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Bytes()
		first, _, _ := bytes.Cut(line, []byte(" "))
		switch {
		case !bytes.HasSuffix(first, []byte(":")):
			add()
			known, written = false, false
			m, ofFile = readOnly(line, file)
		case bytes.Equal(first, []byte("Anonymous:")):
			known = true
			written = written || !bytes.HasSuffix(line, []byte(" 0 kB"))
		case bytes.Equal(first, []byte("Swap:")):
			written = written || !bytes.HasSuffix(line, []byte(" 0 kB"))
		}
	}
	add()
	return all
}

// readOnly is a mapping by its line, if that is one of the file, and not writable.
func readOnly(line []byte, file string) (m mapping, ok bool) {
	if !bytes.HasSuffix(line, []byte(" "+file)) {
		return mapping{}, false
	}
	fields := strings.Fields(string(line))
	if len(fields) != 6 || fields[5] != file || strings.Contains(fields[1], "w") {
		return mapping{}, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	begin, errBegin := strconv.ParseUint(from, 16, 64)
	end, errEnd := strconv.ParseUint(to, 16, 64)
	return mapping{uintptr(begin), uintptr(end)}, errBegin == nil && errEnd == nil
}
