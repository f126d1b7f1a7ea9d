package watcher

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	// maxEntries bounds one look: more than this in FILE is a mistake (a whole disk, a
	// data folder), and would cost every pod dearly.
	maxEntries = 100_000

	// Where there are fewer entries than this, memory is not asked about.
	fewEntries = 5_000

	// What a look at an entry takes at its peak, garbage included: so much, and so much for
	// each byte of its path. Measured with 10,000 to 60,000 files in one folder and in 300,
	// with names of 20 and of 100 bytes.
	entryBytes, pathByteBytes = 620, 6

	// What a folder takes that is watched, in fsnotify and in the kernel, besides.
	folderBytes = 2 << 10

	// ownBytes is what podsignal takes without any files: its code, its log, its pages.
	ownBytes = 10 << 20
)

// A room is the memory that a scan may fill.
type room struct {
	limit, used int64         // bytes; a limit of 0 has not been asked for
	shared      *atomic.Int64 // what all that share this memory hold; nil: there are no others
	held        int64         // of that: what the Watcher's last scan used, or more if this one does
	entries     int
}

// enter adds entries, and is an error if there are too many.
func (r *room) enter(path string, entries int) error {
	r.entries += entries
	return r.fill(path, int64(entries)*entryBytes)
}

// keep adds what is kept of a path besides.
func (r *room) keep(path string) error { return r.fill(path, int64(len(path))*pathByteBytes) }

// keepFolder adds a folder that is watched.
func (r *room) keepFolder() { r.hold(folderBytes) }

// fill adds bytes, which is an error if there is no room for them. There is as much as
// there was at the last scan, whatever others have taken since.
func (r *room) fill(path string, bytes int64) error {
	more := r.hold(bytes)
	if r.entries > maxEntries || more && r.entries >= fewEntries && r.used > r.most() {
		return r.full(path)
	}
	return nil
}

// hold tells whether the bytes are more than there were at the last scan.
func (r *room) hold(bytes int64) (more bool) {
	r.used += bytes
	if r.used <= r.held {
		return false
	}
	r.settle(r.used)
	return true
}

// settle has the Watcher hold so many bytes from now on.
func (r *room) settle(bytes int64) {
	if r.shared != nil {
		r.shared.Add(bytes - r.held)
	}
	r.held = bytes
}

// fullError says that a room is full.
type fullError string

// Error is the whole text.
func (e fullError) Error() string { return string(e) }

func (r *room) full(path string) error {
	if r.entries > maxEntries {
		return fullError(fmt.Sprintf("%s holds more than %d entries: set FILE to a smaller folder, or to single files", path, maxEntries))
	}
	others := ""
	if bytes := r.others(); bytes > 0 {
		others = fmt.Sprintf(", of which other rules take %d MiB", bytes>>20)
	}
	return fullError(fmt.Sprintf("FILE holds more entries (%d up to %s) than the memory that podsignal may use (%d MiB%s) has room for: set FILE to a smaller folder, leave entries out by EXCLUDE, or raise the container's memory limit",
		r.entries, path, r.limit>>20, others))
}

// others is what the others hold.
func (r *room) others() int64 {
	if r.shared == nil {
		return 0
	}
	return r.shared.Load() - r.held
}

// most is how many bytes this scan may use.
func (r *room) most() int64 {
	if r.limit == 0 {
		r.limit = memoryLimit()
	}
	return r.limit - ownBytes - r.others()
}

// names is how many entries of a folder are worth reading, since a single one may be too
// large: one more than there may be.
func (r *room) names() int {
	names := maxEntries - r.entries
	if names > fewEntries {
		more := max(r.most(), r.held) - r.used
		names = min(names, max(fewEntries, int(more/entryBytes)))
	}
	return names + 1
}

// memoryLimit is how much memory this container may use, or, where it has no limit, how
// much the machine has left.
func memoryLimit() int64 {
	limit := int64(1) << 62
	for _, file := range limitFiles() {
		if b, err := os.ReadFile(file); err == nil {
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64); err == nil { // else it is "max"
				limit = min(limit, n)
			}
		}
	}
	if limit < 1<<60 { // without a limit, cgroup v1 shows almost 1<<63
		return limit
	}
	return available()
}

// limitFiles are where the limit of this process's cgroup may stand. In a container it is
// at the root of what is mounted there; elsewhere /proc/self/cgroup tells the way
// (cgroups(7), "/proc files").
func limitFiles() []string {
	const root = "/sys/fs/cgroup"
	files := []string{root + "/memory.max", root + "/memory/memory.limit_in_bytes"}
	own, _ := os.ReadFile("/proc/self/cgroup") // without it, the root is as good as it gets
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[0] == "0" && fields[1] == "":
			files = append(files, filepath.Join(root, fields[2], "memory.max"))
		case fields[1] == "memory":
			files = append(files, filepath.Join(root, "memory", fields[2], "memory.limit_in_bytes"))
		}
	}
	return files
}

// available is MemAvailable of /proc/meminfo (proc_meminfo(5)); if it cannot be read,
// nothing is known that would be too much.
func available() int64 {
	b, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := bytes.Cut(b, []byte("MemAvailable:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 1 << 62
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 1 << 62
	}
	return kib << 10
}
