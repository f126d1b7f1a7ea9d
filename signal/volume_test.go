package signal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal/procfs"
)

const configMap = "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~configmap/web"

// In a pod: FILE lies in a ConfigMap, in a Secret, in an emptyDir or in the image.
func podFake(t *testing.T, procs ...*proc) *fake {
	f := newFake(t, procs...)
	f.ours = []procfs.Mount{
		{Device: "0:90", Root: "/", Point: "/"},
		{Device: "254:1", Root: configMap, Point: "/volume/config"},
		{Device: "0:50", Root: "/", Point: "/volume/secret"},
		{Device: "254:1", Root: "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~empty-dir/share", Point: "/volume/share"},
	}
	f.links["/volume/config/..data"] = true
	f.links["/volume/secret/..data"] = true
	return f
}

// mounting returns an nginx with these mounts besides that of its image.
func mounting(pid int, mounts ...procfs.Mount) *proc {
	p := nginx(pid)
	p.mounts = append([]procfs.Mount{{Device: "0:91", Root: "/", Point: "/"}}, mounts...)
	return p
}

func TestP3VolumeIsRequired(t *testing.T) {
	config, secret := "/volume/config/nginx.conf", "/volume/secret/tls.key"
	for name, test := range map[string]struct {
		file   string
		mounts []procfs.Mount
		want   bool
	}{
		"mounted elsewhere":           {config, []procfs.Mount{{Device: "254:1", Root: configMap, Point: "/etc/nginx"}}, true},
		"the folder itself":           {"/volume/config", []procfs.Mount{{Device: "254:1", Root: configMap, Point: "/etc/nginx"}}, true},
		"a file to come":              {"/volume/config/to/come", []procfs.Mount{{Device: "254:1", Root: configMap, Point: "/etc/nginx"}}, true},
		"a part, by subPath":          {config, []procfs.Mount{{Device: "254:1", Root: configMap + "/..2026_11_21/nginx.conf", Point: "/nginx.conf"}}, true},
		"a stale part, by subPath":    {config, []procfs.Mount{{Device: "254:1", Root: configMap + "/..2026_11_20/nginx.conf//deleted", Point: "/nginx.conf"}}, true},
		"the disk that it lies on":    {config, []procfs.Mount{{Device: "254:1", Root: "/", Point: "/host"}}, true},
		"a folder that it lies in":    {config, []procfs.Mount{{Device: "254:1", Root: "/var/lib/kubelet", Point: "/var/lib/kubelet"}}, true},
		"Secret":                      {secret, []procfs.Mount{{Device: "0:50", Root: "/", Point: "/tls"}}, true},
		"not at all":                  {config, nil, false},
		"the same root, other device": {config, []procfs.Mount{{Device: "254:2", Root: configMap, Point: "/etc/nginx"}}, false},
		"another of the same device":  {config, []procfs.Mount{{Device: "254:1", Root: configMap + "-2", Point: "/etc/nginx"}}, false},
		"another that is its prefix":  {config, []procfs.Mount{{Device: "254:1", Root: configMap[:len(configMap)-1], Point: "/etc/nginx"}}, false},
		"another Secret, the same /":  {secret, []procfs.Mount{{Device: "0:51", Root: "/", Point: "/tls"}}, false},
		"only the other volume":       {secret, []procfs.Mount{{Device: "254:1", Root: configMap, Point: "/etc/nginx"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := podFake(t, mounting(7, test.mounts...))
			finder := f.finder(Options{Files: []string{test.file}})
			if got := foundPIDs(t, finder) != nil; got != test.want {
				t.Errorf("found = %t", got)
			}
		})
	}
}

func TestP3Several(t *testing.T) {
	config, share := "/volume/config/nginx.conf", "/volume/share/nginx.conf"
	shared := procfs.Mount{Device: "254:1", Root: "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~empty-dir/share", Point: "/share"}
	none := mounting(7)
	withConfig := mounting(8, procfs.Mount{Device: "254:1", Root: configMap, Point: "/etc/nginx"})
	withSecret := mounting(9, procfs.Mount{Device: "0:50", Root: "/", Point: "/tls"})
	withShare := mounting(10, shared)
	unreadable := mounting(11)
	unreadable.unreadable = fs.ErrPermission
	for name, test := range map[string]struct {
		files []string
		procs []*proc
		want  []int
	}{
		"volume, all that mount it":          {[]string{config}, []*proc{none, withConfig, withSecret}, []int{8}},
		"volume, what cannot be seen counts": {[]string{config}, []*proc{none, unreadable}, []int{11}},
		"either of two volumes":              {[]string{config, "/volume/secret/tls.key"}, []*proc{none, withConfig, withSecret}, []int{8, 9}},
		"volume and another, volume decides": {[]string{share, config}, []*proc{withConfig, withShare}, []int{8}},
		"volume and another, volume missing": {[]string{share, config}, []*proc{withShare}, nil},

		"other file, it decides between roots":  {[]string{share}, []*proc{none, withConfig, withShare}, []int{10}},
		"other file, and none mounts it":        {[]string{share}, []*proc{none, withConfig}, []int{7, 8}},
		"other file, and the only one does not": {[]string{share}, []*proc{none}, []int{7}},
		"file of our image":                     {[]string{"/app.conf"}, []*proc{none, withConfig}, []int{7, 8}},
		"no file":                               {nil, []*proc{none, withConfig}, []int{7, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			f := podFake(t, test.procs...)
			if diff := cmp.Diff(test.want, foundPIDs(t, f.finder(Options{Files: test.files}))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A volume is known by what FILE leads to.
func TestP3FileIsALink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	volume := filepath.Join(dir, "volume")
	link := filepath.Join(dir, "nginx.conf")
	if err := errors.Join(os.Mkdir(volume, 0o700), os.Symlink("volume/nginx.conf", link),
		os.WriteFile(filepath.Join(volume, "nginx.conf"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	f := podFake(t, mounting(7), mounting(8, procfs.Mount{Device: "0:60", Root: "/", Point: "/tls"}))
	f.ours = append(f.ours, procfs.Mount{Device: "0:60", Root: "/", Point: volume})
	f.links[filepath.Join(volume, "..data")] = true
	if diff := cmp.Diff([]int{8}, foundPIDs(t, f.finder(Options{Files: []string{link}}))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
