package main

import (
	"bytes"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "example.com/program", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/known/v2", Version: "v2.3.4", Sum: "h1:sum="},
			{Path: "example.com/beside", Version: "v0.0.0-00010101000000-000000000000", Replace: &debug.Module{Path: "../..", Version: "(devel)"}},
			{Path: "example.com/unknown", Version: "v2.0.0+incompatible", Sum: "h1:other="},
		},
	}
	licences := map[string]licence{"example.com/known/v2": {ids: []string{"Apache-2.0", "MIT"}}}

	bom := describe(info, "1.2.3", licences)
	if got, want := bom.Metadata.Component.PackageURL, "pkg:golang/example.com/program@1.2.3"; got != want {
		t.Errorf("it is for %s, want %s", got, want)
	}
	var got []string
	for _, c := range *bom.Components {
		line := []string{c.PackageURL, c.Name, c.Version}
		if c.Licenses != nil {
			for _, choice := range *c.Licenses {
				line = append(line, choice.License.ID)
			}
		}
		if c.Properties != nil {
			line = append(line, (*c.Properties)[0].Value)
		}
		got = append(got, strings.Join(line, " "))
	}
	want := []string{
		"pkg:golang/stdlib@1.26.8 stdlib 1.26.8",
		"pkg:golang/example.com/known/v2@v2.3.4 example.com/known/v2 v2.3.4 Apache-2.0 MIT h1:sum=",
		"pkg:golang/example.com/beside@1.2.3 example.com/beside 1.2.3",
		"pkg:golang/example.com/unknown@v2.0.0%2Bincompatible example.com/unknown v2.0.0+incompatible h1:other=",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("components, wanted (-) and got (+):\n%s", diff)
	}
}

// The nearest program that was built from this module is this test.
func TestWriteBOM(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := writeBOM(out, "/proc/self/exe", "1.2.3"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("the same program gave:\n%s\nand then:\n%s", &first, &second)
	}

	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(&first, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	for name, licence := range map[string]string{
		"stdlib":                            "BSD-3-Clause",
		"github.com/CycloneDX/cyclonedx-go": "Apache-2.0",
		"github.com/google/licensecheck":    "BSD-3-Clause",
	} {
		i := slices.IndexFunc(*bom.Components, func(c cdx.Component) bool { return c.Name == name })
		if i < 0 {
			t.Errorf("%s is not in it", name)
		} else if got := (*bom.Components)[i].Licenses; got == nil || (*got)[0].License.ID != licence {
			t.Errorf("%s has the licences %v, want %s", name, got, licence)
		}
	}
}

func TestWriteFails(t *testing.T) {
	for name, tt := range map[string]struct{ program, want string }{
		"absent":        {"testdata/absent", "no such file"},
		"no Go program": {"main.go", "reading main.go: unrecognized file format"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, write := range []func(io.Writer, string, string) error{writeBOM, writeLicences} {
				err := write(&out, tt.program, "1.2.3")
				if err == nil || !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
					t.Errorf("wrote %q, with the error %v, want %q", &out, err, tt.want)
				}
			}
		})
	}
}
