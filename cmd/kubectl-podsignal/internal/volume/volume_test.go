package volume

import (
	"context"
	"encoding/hex"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/podsignal/podsignal/watcher"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// fakeAPI has objects by KIND/NAME; nil: it may not be read.
type fakeAPI map[string]map[string][]byte

func (f fakeAPI) Get(_ context.Context, kind Kind, namespace, name string) (map[string][]byte, bool, error) {
	data, found := f[string(kind)+"/"+name]
	if found && data == nil {
		err := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, name, nil)
		return nil, false, &ForbiddenError{kind, namespace, err}
	}
	return data, found, nil
}

func bytesOf(data map[string]string) map[string][]byte {
	all := make(map[string][]byte)
	for key, text := range data {
		all[key] = []byte(text)
	}
	return all
}

var api = fakeAPI{
	"ConfigMap/conf":  bytesOf(map[string]string{"nginx.conf": "events {}\n", "site.conf": "server {}\n", "README.md": "", "a-b": "1", "a.b": "2"}),
	"ConfigMap/empty": {},
	"Secret/tls":      bytesOf(map[string]string{"tls.crt": "certificate", "tls.key": "\x00\xff"}),
	"Secret/locked":   nil,
}

func yes() *bool { is := true; return &is }

func configMap(name string, items ...corev1.KeyToPath) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: items}}
}

func projected(sources ...corev1.VolumeProjection) corev1.VolumeSource {
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}
}

func ofConf(items ...corev1.KeyToPath) corev1.VolumeProjection {
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "conf"}, Items: items}}
}

func ofSecret(name string) corev1.VolumeProjection {
	return corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

var token = corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}

func podWith(dir string, v corev1.VolumeSource) (*corev1.Pod, *corev1.Container) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "podsignal", VolumeMounts: []corev1.VolumeMount{{Name: "conf", MountPath: dir}}}},
		Volumes:    []corev1.Volume{{Name: "conf", VolumeSource: v}},
	}}
	return pod, &pod.Spec.Containers[0]
}

// TestDigest has podsignal's watcher read what the kubelet writes for each volume.
func TestDigest(t *testing.T) {
	for _, test := range []struct {
		name    string
		volume  corev1.VolumeSource
		files   volumetest.Files // that the kubelet writes
		path    string           // below the mount
		exclude []string
	}{
		{"ConfigMap", configMap("conf"), volumetest.Files{"nginx.conf": "events {}\n", "site.conf": "server {}\n", "README.md": "", "a-b": "1", "a.b": "2"}, "", nil},
		{"ConfigMap without keys", configMap("empty"), volumetest.Files{}, "", nil},
		{"excluded", configMap("conf"), volumetest.Files{"nginx.conf": "events {}\n", "site.conf": "server {}\n", "README.md": "", "a-b": "1", "a.b": "2"}, "", []string{"*.md", "a*"}},
		{"all excluded", configMap("conf", corev1.KeyToPath{Key: "README.md", Path: "README.md"}), volumetest.Files{"README.md": ""}, "", []string{"**/*.md"}},
		{
			"items, nested", configMap("conf", corev1.KeyToPath{Key: "nginx.conf", Path: "etc/nginx/nginx.conf"}, corev1.KeyToPath{Key: "site.conf", Path: "etc/a"}, corev1.KeyToPath{Key: "a.b", Path: "b"}),
			volumetest.Files{"etc/nginx/nginx.conf": "events {}\n", "etc/a": "server {}\n", "b": "2"},
			"", nil,
		},
		{"a folder in it", configMap("conf", corev1.KeyToPath{Key: "nginx.conf", Path: "etc/nginx/nginx.conf"}, corev1.KeyToPath{Key: "site.conf", Path: "a"}), volumetest.Files{"etc/nginx/nginx.conf": "events {}\n", "a": "server {}\n"}, "etc", nil},
		{"a folder that is excluded", configMap("conf", corev1.KeyToPath{Key: "nginx.conf", Path: "etc/nginx/nginx.conf"}, corev1.KeyToPath{Key: "site.conf", Path: "a"}), volumetest.Files{"etc/nginx/nginx.conf": "events {}\n", "a": "server {}\n"}, "", []string{"etc/nginx"}},
		{"a repository in it", configMap("conf", corev1.KeyToPath{Key: "nginx.conf", Path: ".git/config"}, corev1.KeyToPath{Key: "site.conf", Path: "a/.git"}, corev1.KeyToPath{Key: "a.b", Path: ".gitignore"}), volumetest.Files{".git/config": "events {}\n", "a/.git": "server {}\n", ".gitignore": "2"}, "", nil},
		{"a file in it", configMap("conf"), volumetest.Files{"nginx.conf": "events {}\n", "site.conf": "server {}\n"}, "site.conf", nil},
		{"a file that is excluded", configMap("conf"), volumetest.Files{"nginx.conf": "events {}\n", "site.conf": "server {}\n"}, "site.conf", []string{"site.*"}},
		{"a file that is gone", configMap("conf"), volumetest.Files{"nginx.conf": "events {}\n"}, "gone.conf", nil},
		{"Secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls"}}, volumetest.Files{"tls.crt": "certificate", "tls.key": "\x00\xff"}, "", nil},
		{
			"optional Secret that is not there",
			corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none", Optional: yes()}},
			volumetest.Files{},
			"", nil,
		},
		{
			"optional key that is not there",
			corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "conf"}, Items: []corev1.KeyToPath{{Key: "none", Path: "x"}, {Key: "a.b", Path: "y"}}, Optional: yes()}},
			volumetest.Files{"y": "2"},
			"", nil,
		},
		{"projected, the last wins", projected(ofConf(corev1.KeyToPath{Key: "a.b", Path: "tls.crt"}, corev1.KeyToPath{Key: "a-b", Path: "c"}), ofSecret("tls")), volumetest.Files{"tls.crt": "certificate", "tls.key": "\x00\xff", "c": "1"}, "", nil},
		{"beside a token", projected(token, ofConf(corev1.KeyToPath{Key: "a.b", Path: "conf/x"})), volumetest.Files{"token": "t", "conf/x": "2"}, "conf", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := volumetest.Write(dir, test.files); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, test.path)
			pod, container := podWith(dir, test.volume)
			got, err := Of(t.Context(), api, pod, container, file, test.exclude)
			if err != nil || got.Unknown != "" || got.Undeliverable != "" {
				t.Fatalf("%+v, %v", got, err)
			}
			if want := seen(t, file, test.exclude); got.Digest != want {
				t.Errorf("the digest is %q, and podsignal's %q", got.Digest, want)
			}
		})
	}
}

// seen is the digest that podsignal shows; empty: nothing is there.
func seen(t *testing.T, file string, exclude []string) string {
	t.Helper()
	looks := make(chan watcher.Snapshot)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- watcher.New(watcher.Options{Paths: []string{file}, Exclude: exclude, Log: slog.New(slog.DiscardHandler)}).Run(ctx, looks)
	}()
	look := <-looks
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if look.Err != nil {
		t.Fatal(look.Err)
	}
	if d := look.Paths[0].Digest; d != [32]byte{} {
		return hex.EncodeToString(d[:])
	}
	return ""
}

// TestUnknown is what cannot be told, and what the kubelet cannot deliver.
func TestUnknown(t *testing.T) {
	inMount := func(change func(*corev1.Container)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) }
	}
	downward := corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels"}}}}
	for _, test := range []struct {
		name, path     string
		volume         corev1.VolumeSource
		change         func(*corev1.Pod)
		unknown, cause string
		same           bool
	}{
		{"another folder", "/etc/other", configMap("conf"), nil, "it is not in a volume of podsignal's container", "", false},
		{"a name that begins alike", "/etc/conf.d2", configMap("conf"), nil, "it is not in a volume of podsignal's container", "", false},
		{"several volumes", "/etc/conf.d", configMap("conf"), inMount(func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "conf", MountPath: "/etc/conf.d/more"})
		}), "volumes are mounted in it: name their folders in FILE", "", false},
		{"subPath", "/etc/conf.d", configMap("conf"), inMount(func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "x" }), "a subPath mount is never updated", "", false},
		{"emptyDir", "/etc/conf.d", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, nil, "it is not in a volume that the kubelet keeps up to date", "", false},
		{"the kubelet's folder", "/etc/conf.d/..data/x", configMap("conf"), nil, "it is not in a volume that the kubelet keeps up to date", "", false},
		{"token", "/etc/conf.d", projected(ofConf(), token), nil, "it shows the service account's token", "", false},
		{"downward API", "/etc/conf.d", projected(downward, ofConf()), nil, "it shows labels or annotations of the pod", "", false},
		{"certificate", "/etc/conf.d/key", projected(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{KeyPath: "key"}}), nil, "it shows the pod's certificate", "", false},
		{"trust bundle", "/etc/conf.d/ca", projected(corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Path: "ca"}}), nil, "it shows a cluster trust bundle", "", false},
		{"a source of the future", "/etc/conf.d/x", projected(ofConf(), corev1.VolumeProjection{}), nil, "its volume has a source that this version of the plugin does not know", "", false},
		{"locked Secret", "/etc/conf.d", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "locked"}}, nil, `secrets "locked" is forbidden: <nil>`, "", true},
		{"locked Secret beside others", "/etc/conf.d", projected(ofConf(), ofSecret("locked")), nil, `secrets "locked" is forbidden: <nil>`, "", true},
		{"locked Secret and token", "/etc/conf.d", projected(token, ofSecret("locked")), nil, "it shows the service account's token", "", false},
		{"no ConfigMap", "/etc/conf.d", configMap("none"), nil, "", "there is no ConfigMap default/none: create it, or make it optional", false},
		{"no key", "/etc/conf.d/x", configMap("conf", corev1.KeyToPath{Key: "none", Path: "y"}), nil, "", "ConfigMap default/conf has no key none: add it, or make it optional", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod, container := podWith("/etc/conf.d/", test.volume)
			if test.change != nil {
				test.change(pod)
			}
			got, err := Of(t.Context(), api, pod, container, test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Unknown != test.unknown || got.Undeliverable != test.cause || (got.Same != "") != test.same || got.Digest != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestSame: pods whose volumes and paths are alike are compared, and no others.
func TestSame(t *testing.T) {
	locked := corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "locked"}}
	of := func(dir, path string, exclude ...string) string {
		pod, container := podWith(dir, locked)
		w, err := Of(t.Context(), api, pod, container, path, exclude)
		if err != nil || w.Same == "" {
			t.Fatalf("%+v, %v", w, err)
		}
		return w.Same
	}
	if of("/a", "/a") != of("/b", "/b/") {
		t.Error("where it is mounted makes a difference")
	}
	if of("/a", "/a") == of("/a", "/a/key") || of("/a", "/a") == of("/a", "/a", "*.md") {
		t.Error("different parts of a volume are compared")
	}
}

// TestManifestDigests: podsignal shows the digests of ConfigMaps and Secrets in manifests.
func TestManifestDigests(t *testing.T) {
	files := map[string]string{"a": "1", "b": "2\n", "c": "3"}
	dir := t.TempDir()
	if err := volumetest.Write(dir, maps.Clone(files)); err != nil {
		t.Fatal(err)
	}
	want := seen(t, dir, nil)
	m := corev1.ConfigMap{Data: map[string]string{"a": "1", "b": "2\n"}, BinaryData: map[string][]byte{"c": []byte("3")}}
	s := corev1.Secret{Data: map[string][]byte{"a": []byte("1"), "b": []byte("old"), "c": []byte("3")}, StringData: map[string]string{"b": "2\n"}}
	if got := DigestOfConfigMap(&m); got != want {
		t.Errorf("of the ConfigMap: %s, want %s", got, want)
	}
	if got := DigestOfSecret(&s); got != want {
		t.Errorf("of the Secret: %s, want %s", got, want)
	}
	if strings.Contains(want, "e3b0c442") {
		t.Error("the volume is empty")
	}
}
