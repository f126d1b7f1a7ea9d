package watcher

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MountedVolumes are the folders at which this container mounts a volume that the
// kubelet keeps up to date: a mount point with a ..data link. They are sorted, and do
// not change while the container runs. A volume that is mounted at several paths is
// listed with the first of them only, since all show the same.
//
// Left out is what the kubelet changes on its own account, for no program to reload on:
//
//   - the tokens of the service account: the one that each pod gets (ca.crt, namespace
//     and token and no more, or /var/run/secrets/kubernetes.io/serviceaccount), and
//     those that the webhooks of EKS (/var/run/secrets/*/serviceaccount) and of Azure
//     (/var/run/secrets/azure/tokens) add. A token that a manifest mounts elsewhere
//     looks like any Secret, and is listed.
//   - volumes of the downward API that show nothing but labels and annotations. Seen
//     from a container these are a tmpfs with the root /, as Secrets and projected
//     volumes are (pkg/volume/downwardapi in kubernetes/kubernetes), so that only the
//     names, customary but free, can tell. One with others is listed, and a Secret
//     with just these two keys, or one of them, is not.
//
// A subPath mount has no ..data of its own, for it is never updated, and is no volume here.
// Network file systems are not looked at: the kubelet keeps no such volume there, and
// they may hang.
func MountedVolumes() ([]string, error) {
	mounts, err := mountinfo()
	if err != nil {
		return nil, err
	}
	return volumesOf(mounts, ""), nil
}

// mountinfo are the mounts of this process.
func mountinfo() ([]mount, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts, err := parseMounts(b)
	if err != nil {
		return nil, fmt.Errorf("parsing /proc/self/mountinfo: %w", err)
	}
	return mounts, nil
}

// mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	device string // major:minor
	root   string // the folder of the file system that is mounted
	point  string
	fstype string
}

func parseMounts(b []byte) ([]mount, error) {
	var all []mount
	for line := range bytes.Lines(b) {
		// Not Fields: the kernel escapes no other spaces than that of ASCII.
		fields := strings.SplitN(string(line), " ", 6)
		if len(fields) < 6 {
			return nil, fmt.Errorf("too few fields: %q", string(line))
		}
		// Before the separator there is any number of optional fields.
		_, rest, ok := strings.Cut(" "+fields[5], " - ")
		if !ok {
			return nil, fmt.Errorf("no type of file system: %q", string(line))
		}
		fstype, _, _ := strings.Cut(rest, " ")
		all = append(all, mount{fields[2], unescape(fields[3]), unescape(fields[4]), unescape(fstype)})
	}
	return all, nil
}

// unescape undoes the kernel's octal escapes of spaces, tabs, newlines, # and
// backslashes in mountinfo (mangle in fs/seq_file.c).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// remote are file systems whose server may be gone, so that a look never ends.
var remote = []string{"nfs", "nfs4", "cifs", "smb3", "ceph", "autofs"}

// volumesOf is MountedVolumes for these mounts, whose points lie in the folder root.
func volumesOf(mounts []mount, root string) (points []string) {
	top := make(map[string]mount)
	for _, m := range mounts {
		top[m.point] = m // the last is over the others
	}
	type source struct{ device, root string }
	known := make(map[source]bool)
	for _, point := range slices.Sorted(maps.Keys(top)) {
		m := top[point]
		from := source{m.device, m.root}
		if known[from] || slices.Contains(remote, m.fstype) || isToken(point) || !forPrograms(m, root+point) {
			continue
		}
		known[from] = true
		points = append(points, point)
	}
	return points
}

// isToken tells whether a service account's token is mounted there. In many images
// /var/run leads to /run.
func isToken(point string) bool {
	point = strings.TrimPrefix(point, "/var")
	account, _ := filepath.Match("/run/secrets/*/serviceaccount", point) // the pattern is good
	return account || point == "/run/secrets/azure/tokens"
}

// forPrograms tells whether dir is the folder of a volume, and one that shows what
// a program reloads on.
func forPrograms(m mount, dir string) bool {
	if _, err := os.Readlink(join(dir, dataLink)); err != nil {
		return false
	}
	names, err := readNames(dir, fewEntries)
	if err != nil {
		return true // it will be said when it is watched
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "..") })
	slices.Sort(names)
	switch strings.Join(names, "/") {
	case "ca.crt/namespace/token":
		return false
	case "labels", "annotations", "annotations/labels":
		return m.fstype != "tmpfs"
	default:
		return true
	}
}
