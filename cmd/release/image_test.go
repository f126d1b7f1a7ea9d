package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// indexIn returns the image of an archive, for all platforms.
func indexIn(t *testing.T, archive string) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	command(t, dir, nil, "tar", "--extract", "--file", archive)
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("%s has %d images, want one for all platforms", archive, len(manifest.Manifests))
	}
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func imagesIn(t *testing.T, archive string) map[string]v1.Image {
	t.Helper()
	index := indexIn(t, archive)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	images := make(map[string]v1.Image)
	for _, m := range manifest.Manifests {
		if images[m.Platform.String()], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return images
}

func TestImages(t *testing.T) {
	archive := filepath.Join(dryRun(t), "podsignal.oci.tar")
	if err := validate.Index(indexIn(t, archive)); err != nil {
		t.Error(err)
	}
	images := imagesIn(t, archive)
	if len(images) != 2 {
		t.Errorf("it has %d images, want those for two architectures", len(images))
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		config, err := images[platform].ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Platform().String() != platform || !config.Created.Equal(committed) {
			t.Errorf("the image for %s says that it is for %s, of %v", platform, config.Platform(), config.Created)
		}
	}
}

// What is pushed is the archive's image, for all architectures under one tag.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://") + "/owner"

	dist := dryRun(t)
	command(t, top, []string{"REGISTRY=" + address}, "make", "release-push", "VERSION=1.2.3", "DIST="+dist)
	for _, p := range []program{podsignal, plugin} {
		ref, err := name.ParseReference(address + "/" + p.name + ":1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		pushed, err := remote.Index(ref)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(pushed); err != nil {
			t.Errorf("%s in the registry: %v", p.name, err)
		}
		got, err := pushed.Digest()
		if err != nil {
			t.Fatal(err)
		}
		want, err := indexIn(t, filepath.Join(dist, p.name+".oci.tar")).Digest()
		if err != nil || got != want {
			t.Errorf("%s in the registry is %s, want %s (%v)", p.name, got, want, err)
		}
	}
}

// An image that Docker loads is that of the Dockerfile: the same files, and run in the same way.
func TestDockerfile(t *testing.T) {
	if testing.Short() {
		t.Skip("builds images, which takes minutes: run without -short")
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "version").CombinedOutput(); err != nil {
		t.Skipf("install Docker Engine, or start it: docker version: %v\n%s", err, out)
	}
	t.Run("podsignal", func(t *testing.T) { testDockerfile(t, podsignal, "image", "IMAGE") })
	t.Run("plugin", func(t *testing.T) { testDockerfile(t, plugin, "image-plugin", "PLUGIN_IMAGE") })
}

func testDockerfile(t *testing.T, p program, target, variable string) {
	p.platforms = []v1.Platform{{OS: "linux", Architecture: runtime.GOARCH}}
	version := fmt.Sprint("0.0.", os.Getpid())
	r := release{version, "abcdef", committed}
	c, err := newCompiler(top, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() })
	dist := t.TempDir()
	if err := r.buildProgram(dist, p, c.compile); err != nil {
		t.Fatal(err)
	}
	loaded := fmt.Sprintf("%s:%s-%s", p.name, version, runtime.GOARCH)
	command(t, dist, nil, "docker", "load", "--input", p.name+".oci.tar")
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", loaded).Run() })

	built := fmt.Sprintf("test-%s:%s", p.name, version)
	command(t, top, nil, "make", target, variable+"=test-"+p.name, "VERSION="+version, "COMMIT=abcdef",
		fmt.Sprint("SOURCE_DATE_EPOCH=", committed.Unix()), "GOPROXY="+strings.TrimSpace(command(t, top, nil, "go", "env", "GOPROXY")))
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", built).Run() })

	if diff := cmp.Diff(configOf(t, built), configOf(t, loaded)); diff != "" {
		t.Errorf("the Dockerfile's image (-) and this one (+):\n%s", diff)
	}
	if diff := cmp.Diff(filesOf(t, built), filesOf(t, loaded)); diff != "" {
		t.Errorf("the files of the Dockerfile's image (-) and of this one (+):\n%s", diff)
	}
	said := command(t, top, nil, "docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", loaded, map[string]string{"image": "--version", "image-plugin": "version"}[target])
	if !strings.Contains(said, version) {
		t.Errorf("it says %q, want %s in it", said, version)
	}
}

// An imageConfig is what Docker knows of how to run an image.
type imageConfig struct {
	Architecture, Os string
	Config           struct {
		User, WorkingDir     string
		Entrypoint, Cmd, Env []string
		Labels               map[string]string
	}
}

func configOf(t *testing.T, image string) imageConfig {
	t.Helper()
	var config []imageConfig
	if err := json.Unmarshal([]byte(command(t, top, nil, "docker", "image", "inspect", image)), &config); err != nil {
		t.Fatal(err)
	}
	return config[0]
}

// filesOf lists the files of an image, with owner, mode, time and sum.
func filesOf(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	script := `id=$(docker create "$1") && trap 'docker rm "$id" >/dev/null' EXIT && mkdir files && docker export "$id" | tar -x --same-owner -C files &&
		find files -type f -size +0 -printf '%P %u:%g %m %T@\n' | sort && find files -type f -size +0 | sort | xargs sha256sum`
	return command(t, dir, nil, "sh", "-euc", script, "sh", image)
}
