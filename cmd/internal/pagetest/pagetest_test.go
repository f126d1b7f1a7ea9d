package pagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// errorsOf keeps the errors of a test.
type errorsOf struct {
	testing.TB
	all []string
}

func (e *errorsOf) Helper() {}
func (e *errorsOf) Errorf(format string, args ...any) {
	e.all = append(e.all, fmt.Sprintf(format, args...))
}

func TestCompare(t *testing.T) {
	e := &errorsOf{TB: t}
	Compare(e, "README.md", []string{"FILE", "NEW"}, []string{"FILE", "OLD"})
	want := []string{
		"README.md promises OLD, and the code does not have it: whoever uses it breaks. See STABILITY.md",
		"README.md does not have NEW, which the code has: add it there, and it is promised from then on",
	}
	if diff := cmp.Diff(want, e.all); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	page := "# Page\n\n## One\n\n| name | meaning |\n|---|---|\n| `a`, *`b[].c`* | as `d` |\n| e | f |\n\n## Two\n\n| `g` | h |\n"
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "*b[].c*"}, Names(Section(t, file, "One"))); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestFields(t *testing.T) {
	type told struct {
		Hidden string `json:"hidden"`
	}
	type base struct {
		At time.Time `json:"at,omitzero"`
	}
	type document struct {
		*base
		Own  string `json:"-"`
		List []base `json:"list"`
		Told told   `json:"told"`
	}
	got := Fields(reflect.TypeFor[document](), reflect.TypeFor[told]())
	if diff := cmp.Diff([]string{"*at*", "list", "*list[].at*", "told"}, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
