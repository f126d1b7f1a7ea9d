package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

func TestJoinLicences(t *testing.T) {
	components := []cdx.Component{
		{Name: "example.com/a", Version: "1.2.3"},
		{Name: "example.com/b", Version: "v1.0.0"},
		{Name: "example.com/c", Version: "v2.0.0"},
	}
	licences := map[string]licence{
		"example.com/a": {texts: []string{"Do as you like."}},
		"example.com/b": {texts: []string{"Name us.", "By us."}},
		"example.com/c": {texts: []string{"Do as you like."}},
	}
	got, err := joinLicences(components, licences)
	if err != nil {
		t.Fatal(err)
	}
	want := rule + "example.com/a 1.2.3\nexample.com/c v2.0.0\n" + rule + "\nDo as you like.\n\n" +
		rule + "example.com/b v1.0.0\n" + rule + "\nName us.\n\n" +
		rule + "example.com/b v1.0.0\n" + rule + "\nBy us.\n\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wanted (-) and got (+):\n%s", diff)
	}

	licences["example.com/b"] = licence{}
	if got, err := joinLicences(components, licences); err == nil || !strings.Contains(err.Error(), "module example.com/b ") {
		t.Errorf("wrote %q with the error %v, want one that names the module without a licence", got, err)
	}
}

// The program is this test, as in TestWriteBOM.
func TestWriteLicences(t *testing.T) {
	var out bytes.Buffer
	if err := writeLicences(&out, "/proc/self/exe", "1.2.3"); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"github.com/podsignal/podsignal 1.2.3", "stdlib " + strings.TrimPrefix(info.GoVersion, "go")}
	for _, module := range info.Deps {
		want = append(want, module.Path+" "+module.Version)
	}
	for _, name := range want {
		if !strings.Contains(out.String(), "\n"+name+"\n") {
			t.Errorf("%s is not in it", name)
		}
	}
	// One with a notice besides its licence.
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"LICENSE", "NOTICE"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), string(bytes.TrimSpace(text))); n != 1 {
			t.Errorf("the text of %s is in it %d times, want once", file, n)
		}
	}
}
