package watcher

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/signal/procfs"
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
// A subPath mount has no ..data of its own, for it is never updated, and is not a volume here.
// The volumes that the files of except lie in are left out, wherever else they are mounted.
// Network file systems are skipped: the kubelet keeps no such volume there, and
// they may hang.
func MountedVolumes(except ...string) ([]string, error) {
	mounts, err := mountinfo()
	if err != nil {
		return nil, err
	}
	return volumesOf(mounts, "", except...), nil
}

// mountinfo are the mounts of this process.
func mountinfo() ([]procfs.Mount, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts, err := procfs.ParseMounts(b)
	if err != nil {
		return nil, fmt.Errorf("parsing /proc/self/mountinfo: %w", err)
	}
	return mounts, nil
}

// remote are file systems whose server may be gone, so that a look never ends.
var remote = []string{"nfs", "nfs4", "cifs", "smb3", "ceph", "autofs"}

// volumesOf is MountedVolumes for these mounts, whose points lie in the folder root.
func volumesOf(mounts []procfs.Mount, root string, except ...string) (points []string) {
	top := make(map[string]procfs.Mount)
	for _, m := range mounts {
		top[m.Point] = m // the last is over the others
	}
	type source struct{ device, root string }
	known := make(map[source]bool)
	for _, path := range except {
		if m, ok := mountOf(path, top); ok {
			known[source{m.Device, m.Root}] = true
		}
	}
	for _, point := range slices.Sorted(maps.Keys(top)) {
		m := top[point]
		from := source{m.Device, m.Root}
		if known[from] || slices.Contains(remote, m.FSType) || isToken(point) || !forPrograms(m, root+point) {
			continue
		}
		known[from] = true
		points = append(points, point)
	}
	return points
}

// mountOf is the mount that a path lies on, whether or not there is anything.
func mountOf(path string, mounts map[string]procfs.Mount) (m procfs.Mount, ok bool) {
	folder := filepath.Dir(path)
	if end, err := filepath.EvalSymlinks(folder); err == nil {
		folder = end
	}
	for ; ; folder = filepath.Dir(folder) {
		if m, ok := mounts[folder]; ok || folder == "/" || folder == "." {
			return m, ok
		}
	}
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
func forPrograms(m procfs.Mount, dir string) bool {
	if _, err := os.Readlink(join(dir, dataLink)); err != nil {
		return false
	}
	names, err := readNames(dir, fewEntries)
	if err != nil {
		return true // it will be said when it is watched
	}
	downward := m.FSType == "tmpfs" && downwardNames(names)
	return !downward && !tokenNames(names)
}

// tokenNames tells whether a volume has the names of the token that each pod gets.
func tokenNames(names []string) bool { return keys(names) == "ca.crt/namespace/token" }

// downwardNames tells whether a volume shows nothing but labels and annotations.
func downwardNames(names []string) bool {
	return slices.Contains([]string{"labels", "annotations", "annotations/labels"}, keys(names))
}

// keys are the names in a volume that are not the kubelet's own, in one string.
func keys(names []string) string {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "..") })
	slices.Sort(names)
	return strings.Join(names, "/")
}
