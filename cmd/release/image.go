package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image is what the Dockerfile of the program builds.
func (r release) image(p program, platform v1.Platform, layer v1.Layer) (v1.Image, error) {
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: r.time}
	image, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: created}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = platform.OS, platform.Architecture, created
	config.Config = v1.Config{
		User:       "65532:65532",
		Entrypoint: []string{"/" + p.name},
		// As Docker sets it, for programs that are mounted.
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       p.name,
			"org.opencontainers.image.description": p.description,
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     r.version,
			"org.opencontainers.image.revision":    r.commit,
		},
	}
	return mutate.ConfigFile(image, config)
}

// loaded is an image in manifest.json, which versions of Docker read that know no OCI layout.
type loaded struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeImages writes an OCI layout, with one image for all platforms, as a tar archive. Docker
// loads each platform's as NAME:VERSION-ARCHITECTURE.
func (r release) writeImages(name string, p program, images []v1.Image) (err error) {
	index := v1.ImageIndex(empty.Index)
	var docker []loaded
	for _, image := range images {
		config, err := image.ConfigFile()
		if err != nil {
			return err
		}
		manifest, err := image.Manifest()
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: config.Platform()}})
		docker = append(docker, loaded{
			Config:   blob(manifest.Config.Digest),
			RepoTags: []string{p.name + ":" + r.version + "-" + config.Architecture},
			Layers:   []string{blob(manifest.Layers[0].Digest)},
		})
	}

	dir, err := os.MkdirTemp("", "layout-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	named := v1.Descriptor{Annotations: map[string]string{"org.opencontainers.image.ref.name": r.version}}
	if _, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index, Descriptor: named})); err != nil {
		return err
	}
	content, err := json.Marshal(docker)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), content, 0o644); err != nil {
		return err
	}
	return r.writeFolder(name, dir)
}

// blob is where an OCI layout has what has this digest.
func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

// writeFolder writes the files of a folder as a tar archive, in the order of their names.
func (r release) writeFolder(name, dir string) error {
	var files []file
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		files = append(files, file{filepath.ToSlash(inside), content, 0o644})
		return err
	})
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := writeTar(&out, files, r.time); err != nil {
		return err
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}
