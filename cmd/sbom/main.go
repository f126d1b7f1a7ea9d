// Command sbom writes what a Go program is made of, as a bill of materials in the
// format CycloneDX, to its standard output:
//
//	go run ./cmd/sbom -version 1.2.3 bin/podsignal >podsignal.cdx.json
//
// With -licences it writes the licences of all that instead, each text once.
//
// The modules are those that the program itself names. It must have been built from the
// module of the present folder by this Go: their licences are read from where it has them.
// A module that is a folder, as replace in go.mod says, is of the same repository as the
// program, and has its version.
//
// The same program makes the same bytes: there is no time or serial number in them.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	version := flag.String("version", "dev", "version of the program")
	licences := flag.Bool("licences", false, "write the texts of the licences")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom [-version VERSION] [-licences] PROGRAM")
		os.Exit(2)
	}
	write := writeBOM
	if *licences {
		write = writeLicences
	}
	if err := write(os.Stdout, flag.Arg(0), *version); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func writeBOM(out io.Writer, program, version string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	bom, _, err := read(program, version, content)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	main := bom.Metadata.Component
	main.Name = filepath.Base(program)
	main.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	// Scanners that are some years old read this version, and all that is said fits in.
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_5)
}

// read returns what a program with this content is made of, and the licences by the paths of modules.
func read(program, version string, content []byte) (*cdx.BOM, map[string]licence, error) {
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", program, err)
	}
	licences, err := findLicences(info)
	if err != nil {
		return nil, nil, err
	}
	return describe(info, version, licences), licences, nil
}

// describe lists the program's modules and Go's standard library. Licences are by
// the path of the module.
func describe(info *debug.BuildInfo, version string, licences map[string]licence) *cdx.BOM {
	main := component(cdx.ComponentTypeApplication, info.Main.Path, version, licences)
	library := component(cdx.ComponentTypeLibrary, stdlib, strings.TrimPrefix(info.GoVersion, "go"), licences)
	components := []cdx.Component{library}
	for _, module := range info.Deps {
		if isFolder(module) {
			components = append(components, component(cdx.ComponentTypeLibrary, module.Path, version, licences))
			continue
		}
		c := component(cdx.ComponentTypeLibrary, module.Path, module.Version, licences)
		// A sum of go.sum is a hash over the hashes of the module's files. No archive
		// has it, so it is not among the hashes, which scanners compare with archives'.
		c.Properties = &[]cdx.Property{{Name: "podsignal:go-sum", Value: module.Sum}}
		components = append(components, c)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components = &components
	return bom
}

// isFolder tells whether a module is a folder of the program's repository.
func isFolder(module *debug.Module) bool {
	return module.Replace != nil && strings.HasPrefix(module.Replace.Path, ".")
}

func component(kind cdx.ComponentType, path, version string, licences map[string]licence) cdx.Component {
	// The one sign of a version that a purl must escape is the + of +incompatible.
	purl := "pkg:golang/" + path + "@" + url.QueryEscape(version)
	c := cdx.Component{BOMRef: purl, Type: kind, Name: path, Version: version, PackageURL: purl}
	if ids := licences[path].ids; len(ids) > 0 {
		choices := make(cdx.Licenses, len(ids))
		for i, id := range ids {
			choices[i].License = &cdx.License{ID: id}
		}
		c.Licenses = &choices
	}
	return c
}
