package watcher

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

const (
	configMap = "/var/lib/kubelet/pods/5a7c/volumes/kubernetes.io~configmap/"
	disk      = "rw,relatime - ext4 /dev/vda1 rw"
	memory    = "ro,relatime - tmpfs tmpfs rw,size=16Gi,inode64"
)

func TestVolumesOf(t *testing.T) {
	conf := volumetest.Files{"nginx.conf": "1"}
	token := volumetest.Files{"ca.crt": "1", "namespace": "1", "token": "1"}
	for _, test := range []struct {
		name    string
		mounts  []string // without id and parent
		volumes map[string]volumetest.Files
		want    []string
	}{
		{
			name: "a ConfigMap and a Secret beside what each container has",
			mounts: []string{
				"0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b",
				"0:51 / /proc rw,nosuid - proc proc rw",
				"0:60 / /etc/tls " + memory,
				"254:1 " + configMap + "conf /etc/nginx " + disk,
				"254:1 /var/lib/kubelet/pods/5a7c/etc-hosts /etc/hosts " + disk,
				"254:1 /var/lib/kubelet/pods/5a7c/volumes/kubernetes.io~empty-dir/tmp /tmp " + disk,
			},
			volumes: map[string]volumetest.Files{"/etc/tls": {"tls.crt": "1"}, "/etc/nginx": conf, "/not/mounted": conf},
			want:    []string{"/etc/nginx", "/etc/tls"},
		},
		{
			name: "tokens",
			mounts: []string{
				"0:60 / /var/run/secrets/kubernetes.io/serviceaccount " + memory,
				"0:61 / /run/secrets/kubernetes.io/serviceaccount " + memory,
				"0:62 / /var/run/secrets/eks.amazonaws.com/serviceaccount " + memory,
				"0:63 / /run/secrets/azure/tokens " + memory,
				"0:64 / /elsewhere " + memory,
				"0:65 / /run/secrets/app " + memory,
				"0:66 / /of/the/program " + memory,
			},
			volumes: map[string]volumetest.Files{
				"/var/run/secrets/kubernetes.io/serviceaccount":     {"token": "1", "service-ca.crt": "1"},
				"/run/secrets/kubernetes.io/serviceaccount":         {"token": "1", "service-ca.crt": "1"},
				"/var/run/secrets/eks.amazonaws.com/serviceaccount": {"token": "1"},
				"/run/secrets/azure/tokens":                         {"azure-identity-token": "1"},
				"/elsewhere":                                        token,
				"/run/secrets/app":                                  {"password": "1"},
				"/of/the/program":                                   {"token": "1"},
			},
			want: []string{"/of/the/program", "/run/secrets/app"},
		},
		{
			name: "the downward API",
			mounts: []string{
				"0:60 / /etc/podinfo " + memory,
				"0:61 / /etc/labels " + memory,
				"0:62 / /etc/more " + memory,
				"254:1 " + configMap + "labels /etc/configmap " + disk,
			},
			volumes: map[string]volumetest.Files{
				"/etc/podinfo":   {"labels": "1", "annotations": "1"},
				"/etc/labels":    {"labels": "1"},
				"/etc/more":      {"labels": "1", "cpu_limit": "1"},
				"/etc/configmap": {"labels": "1"},
			},
			want: []string{"/etc/configmap", "/etc/more"},
		},
		{
			name: "one volume at two paths, and a part of it",
			mounts: []string{
				"254:1 " + configMap + "conf /z " + disk,
				"254:1 " + configMap + "conf /a " + disk,
				"254:1 " + configMap + "conf/..2026_11_21_07_17_43.3649358542/sub /b " + disk,
				"254:1 " + configMap + "conf/..2026_11_21_07_17_43.3649358542/nginx.conf /c/nginx.conf " + disk,
				"254:1 " + configMap + "other /d " + disk,
			},
			volumes: map[string]volumetest.Files{"/a": conf, "/z": conf, "/d": conf},
			want:    []string{"/a", "/d"},
		},
		{
			name:    "no key yet: an optional ConfigMap that does not exist",
			mounts:  []string{"254:1 " + configMap + "conf /a " + disk},
			volumes: map[string]volumetest.Files{"/a": {}},
			want:    []string{"/a"},
		},
		{
			name: "mounted over",
			mounts: []string{
				"254:1 " + configMap + "conf /a " + disk,
				"0:60 / /a " + memory,
				"254:1 " + configMap + "conf /b " + disk,
			},
			volumes: map[string]volumetest.Files{"/a": conf, "/b": conf},
			want:    []string{"/a", "/b"},
		},
		{
			name: "names with spaces, and optional fields",
			mounts: []string{
				`0:60 / /etc/a\040b\134c ro,relatime shared:7 master:1 - tmpfs tmpfs rw`,
				"0:61 / /etc/\u00a0 ro,relatime master:1 - tmpfs tmpfs rw",
			},
			volumes: map[string]volumetest.Files{`/etc/a b\c`: conf, "/etc/\u00a0": conf},
			want:    []string{`/etc/a b\c`, "/etc/\u00a0"},
		},
		{
			name:    "a file system that may hang",
			mounts:  []string{"0:60 / /net rw,relatime - nfs4 server:/export rw"},
			volumes: map[string]volumetest.Files{"/net": conf},
		},
		{
			name:   "none",
			mounts: []string{"0:50 / / rw,relatime - overlay overlay rw"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for point, files := range test.volumes {
				must(t, volumetest.Write(root+point, files))
			}
			var info bytes.Buffer
			for i, m := range test.mounts {
				fmt.Fprintf(&info, "%d 30 %s\n", 100+i, m)
			}
			mounts, err := procfs.ParseMounts(info.Bytes())
			must(t, err)
			if diff := cmp.Diff(test.want, volumesOf(mounts, root)); diff != "" {
				t.Errorf("volumes (-want +got)\n%s", diff)
			}
		})
	}
}

// A file or folder named ..data is no link of the kubelet's.
func TestVolumesOfNoLink(t *testing.T) {
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "a/..data"), 0o755))
	if got := volumesOf([]procfs.Mount{{Device: "0:60", Root: "/", Point: "/a", FSType: "tmpfs"}}, root); got != nil {
		t.Errorf("volumes %q, want none", got)
	}
}

// Volumes that are really mounted.
func TestMountedVolumes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("run as root: it mounts file systems")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	secret := in("a secret")
	tmpfs(t, secret)
	tmpfs(t, in("token"))
	tmpfs(t, in("empty"))
	must(t, volumetest.Write(secret, volumetest.Files{"password": "1"}))
	must(t, volumetest.Write(in("token"), volumetest.Files{"ca.crt": "1", "namespace": "1", "token": "1"}))
	must(t, volumetest.Write(in("node/conf"), volumetest.Files{"nginx.conf": "1", "sub/b": "1"}))
	bind(t, in("node/conf"), in("conf"))
	bind(t, in("node/conf"), in("conf again"))
	bind(t, in("node/conf/..data/sub"), in("subPath"))
	bind(t, in("node/conf/..data/nginx.conf"), in("file"))

	got, err := MountedVolumes()
	must(t, err)
	got = slices.DeleteFunc(got, func(point string) bool { return !strings.HasPrefix(point, dir) })
	if diff := cmp.Diff([]string{secret, in("conf")}, got); diff != "" {
		t.Errorf("volumes (-want +got)\n%s", diff)
	}

	// The volume of HOLD's file, wherever that is mounted.
	got, err = MountedVolumes(in("conf again/approved"))
	must(t, err)
	got = slices.DeleteFunc(got, func(point string) bool { return !strings.HasPrefix(point, dir) })
	if diff := cmp.Diff([]string{secret}, got); diff != "" {
		t.Errorf("volumes but for one (-want +got)\n%s", diff)
	}
}

// tmpfs mounts an empty file system on dir until the test ends.
func tmpfs(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, unix.Mount("podsignal-test", dir, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// bind mounts a file or folder a second time until the test ends.
func bind(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	must(t, err)
	if info.IsDir() {
		must(t, os.MkdirAll(to, 0o755))
	} else {
		must(t, os.WriteFile(to, nil, 0o644))
	}
	must(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}
