package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeTar has nothing in it of the machine or the user that it runs as.
func writeTar(out io.Writer, files []file, at time.Time) error {
	archive := tar.NewWriter(out)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: f.mode, ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// newLayer returns files as the layer of an image.
func newLayer(files []file, at time.Time) (v1.Layer, error) {
	var content bytes.Buffer
	if err := writeTar(&content, files, at); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
}

// writeLayer writes the archive that is the layer of an image.
func writeLayer(name string, layer v1.Layer) error {
	in, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer in.Close()
	content, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

func writeZip(name string, files []file, at time.Time) error {
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for _, f := range files {
		out, err := archive.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at})
		if err != nil {
			return err
		}
		if _, err := out.Write(f.content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, content.Bytes(), 0o644)
}
