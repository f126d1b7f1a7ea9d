package watcher

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// ofFolder is the command in CONTRACT.md that computes the digest of a folder.
const ofFolder = `find -L . -mindepth 1 \( -name '..*' -o -name .git \) -prune -o -type f -printf '%P\0' |
LC_ALL=C sort --zero-terminated | xargs --null --no-run-if-empty sha256sum --zero -- | sha256sum | cut -d' ' -f1`

// TestPathDigest has sha256sum compute what podsignal says.
func TestPathDigest(t *testing.T) {
	for _, test := range []struct {
		name    string
		make    func(t *testing.T, dir string) (path string)
		exclude []string
		command string // run in the folder of the path
	}{
		{"volume", func(t *testing.T, dir string) string {
			must(t, volumetest.Write(dir, volumetest.Files{"key": "old", "gone": "x"}))
			must(t, volumetest.Write(dir, volumetest.Files{"key": "1\n", "a/b/c": "2", "a.b": "3", "a-b": ""}))
			return dir
		}, nil, ofFolder},
		{"file of a volume", func(t *testing.T, dir string) string {
			must(t, volumetest.Write(dir, volumetest.Files{"key": "1\n", "other": "2"}))
			return filepath.Join(dir, "key")
		}, nil, "sha256sum <key | cut -d' ' -f1"},
		{"empty volume", func(t *testing.T, dir string) string {
			must(t, volumetest.Write(dir, volumetest.Files{}))
			return dir
		}, nil, ofFolder},
		{"folder with odd names, links and a repository", func(t *testing.T, dir string) string {
			for _, name := range []string{"-n", "a b", "a\nb", `a\b`, "ü", "sub/.git/config", "other/z"} {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
			}
			must(t, os.Symlink("other", filepath.Join(dir, "linked")))
			must(t, os.Symlink("nothing", filepath.Join(dir, "dangling")))
			must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
			return dir
		}, nil, ofFolder},
		{"folder of which something is excluded", func(t *testing.T, dir string) string {
			must(t, volumetest.Write(dir, volumetest.Files{"key": "1", "README.md": "2", "sub/x.md": "3", "sub/y": "4"}))
			return dir
		}, []string{"**/*.md"}, strings.Replace(ofFolder, `-name .git`, `-name .git -o -name '*.md'`, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := test.make(t, t.TempDir())
			s := newScan(t.Context(), newCache(), test.exclude)
			if _, err := s.path(path); err != nil {
				t.Fatal(err)
			}
			s.digest()
			command := exec.Command("sh", "-c", test.command)
			command.Dir = path
			if strings.HasSuffix(path, "key") {
				command.Dir = filepath.Dir(path)
			}
			want, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, want)
			}
			got := s.pathDigests()[0].Digest
			if hex.EncodeToString(got[:]) != strings.TrimSpace(string(want)) {
				t.Errorf("the digest is %x, and sha256sum says %s", got, want)
			}
		})
	}
}

// TestPathDigestIsOfNoPlace: where a volume is mounted makes no difference, and several paths
// have a digest each.
func TestPathDigestIsOfNoPlace(t *testing.T) {
	one, two := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	must(t, volumetest.Write(one, volumetest.Files{"key": "1", "nested/key": "2"}))
	must(t, volumetest.Write(two, volumetest.Files{"key": "1", "nested/key": "2"}))
	s := newScan(t.Context(), newCache(), nil)
	for _, path := range []string{one, two, filepath.Join(one, "absent"), filepath.Join(one, "key")} {
		_, _ = s.path(path) // one is not there
	}
	s.digest()
	all := s.pathDigests()
	if all[0].Digest != all[1].Digest || all[2] != (PathDigest{}) || all[3].Digest == all[0].Digest {
		t.Errorf("the digests are %+v", all)
	}
}

// TestSecretIsRemembered: a plain folder in memory is known for one at each look, also when its
// files are not looked at one by one.
func TestSecretIsRemembered(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root: run the tests as root")
	}
	dir := t.TempDir()
	tmpfs(t, filepath.Join(dir, "sub"))
	must(t, os.WriteFile(filepath.Join(dir, "sub/key"), []byte("1"), 0o644))
	time.Sleep(racy + 10*time.Millisecond) // so that it is remembered
	c := newCache()
	look := func() ([32]byte, bool) {
		s := newScan(t.Context(), c, nil)
		if _, err := s.path(dir); err != nil {
			t.Fatal(err)
		}
		return s.digest(), s.pathDigests()[0].Secret
	}
	first, secret := look()
	if len(c.flats) == 0 {
		t.Fatal("the folder is not remembered")
	}
	for range 2 {
		if again, still := look(); again != first || !secret || !still {
			t.Errorf("the digest is %x, then %x; secret: %v, then %v", first, again, secret, still)
		}
	}
}

// TestSecretDigest: what may be a Secret has a digest of its own, and the one of all paths says
// nothing to whoever does not know this process.
func TestSecretDigest(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root: run the tests as root")
	}
	secret, configMap := t.TempDir(), t.TempDir()
	if newScan(t.Context(), newCache(), nil).inMemory(&place{real: configMap}) {
		t.Skip("temporary files are in memory here: set TMPDIR to a folder on a disk")
	}
	tmpfs(t, secret)
	files := volumetest.Files{"key": "hunter2"}
	must(t, volumetest.Write(secret, files))
	must(t, volumetest.Write(configMap, files))
	must(t, os.Symlink(filepath.Join(secret, "key"), filepath.Join(configMap, "link")))

	look := func(path string) (all [32]byte, of PathDigest) {
		s := newScan(t.Context(), newCache(), []string{"link"})
		if filepath.Base(path) == "link" {
			s.exclude = nil
		}
		if _, err := s.path(path); err != nil {
			t.Fatal(err)
		}
		all = s.digest()
		return all, s.pathDigests()[0]
	}
	all, of := look(configMap)
	if of.Secret || of.Local || all != of.Digest {
		t.Errorf("of a ConfigMap the digests are %x and %+v", all, of)
	}
	hidden, inMemory := look(secret)
	if !inMemory.Secret || inMemory.Digest != of.Digest || hidden == inMemory.Digest {
		t.Errorf("of a Secret the digests are %x and %+v", hidden, inMemory)
	}
	if again, _ := look(secret); again != hidden {
		t.Error("the same Secret has two digests in one process")
	}
	if _, linked := look(filepath.Join(configMap, "link")); !linked.Secret {
		t.Error("a link to a Secret is not taken for one")
	}
}

func TestLocal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root: run the tests as root")
	}
	for _, test := range []struct {
		name  string
		files volumetest.Files
		path  string
		want  bool
	}{
		{"Secret", volumetest.Files{"tls.key": ""}, "", false},
		{"file of a Secret", volumetest.Files{"tls.key": ""}, "tls.key", false},
		{"token", volumetest.Files{"ca.crt": "", "namespace": "", "token": ""}, "", true},
		{"file of a token's volume", volumetest.Files{"ca.crt": "", "namespace": "", "token": ""}, "token", true},
		{"downward API", volumetest.Files{"annotations": ""}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			tmpfs(t, dir)
			must(t, volumetest.Write(dir, test.files))
			s := newScan(t.Context(), newCache(), nil)
			if _, err := s.path(filepath.Join(dir, test.path)); err != nil {
				t.Fatal(err)
			}
			if got := s.pathDigests()[0]; got.Local != test.want || !got.Secret {
				t.Errorf("it is %+v, want local to be %v", got, test.want)
			}
		})
	}
	folder := t.TempDir()
	s := newScan(t.Context(), newCache(), nil)
	if _, err := s.path(folder); err != nil {
		t.Fatal(err)
	}
	if got := s.pathDigests()[0]; !got.Local {
		t.Errorf("a plain folder is %+v", got)
	}
}
