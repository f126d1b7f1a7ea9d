package signal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSubPath(t *testing.T) {
	for name, test := range map[string]struct {
		root      string
		is, stale bool
	}{
		"ConfigMap":               {configMap, false, false},
		"Secret":                  {"/", false, false},
		"file of a ConfigMap":     {configMap + "/..2026_11_21_07_17_43.3649358542/app.conf", true, false},
		"file of a Secret":        {"/..2026_11_21_07_17_43.3649358542/tls.key", true, false},
		"folder":                  {"/..2026_11_21_07_17_43.3649358542/sites", true, false},
		"all of it, by its stamp": {"/..2026_11_21_07_17_43.3649358542", true, false},
		"stale":                   {"/..2026_11_21_07_17_43.3649358542/tls.key//deleted", true, true},
		"removed":                 {"/home/web/site.conf//deleted", true, true},
		"a name with a year":      {"/backup/2026_11_21", false, false},
		"two dots and no year":    {"/..data/key", false, false},
		"a part of a name":        {"/a..2026_11/key", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, is := mount{"0:50", test.root, "/point"}.subPath()
			if is != test.is || got != (SubPath{"/point", test.stale}) {
				t.Errorf("%+v, %v", got, is)
			}
		})
	}
}

func TestSubPathsOfOurOwn(t *testing.T) {
	f := podFake(t)
	stale := configMap + "/..2026_11_20_07_17_43.1/app.conf//deleted"
	f.ours = append(f.ours,
		mount{"254:1", stale, "/app/app.conf"},
		mount{"254:1", configMap + "/..2026_11_21_07_17_43.2/sites", "/app/sites"})
	app, sites := SubPath{"/app/app.conf", true}, SubPath{"/app/sites", false}
	for path, want := range map[string][2][]SubPath{
		"/app/app.conf":       {{app}, nil},
		"/app/sites":          {{sites}, nil},
		"/app/sites/one.conf": {{sites}, nil},
		"/app":                {nil, {app, sites}},
		"/app/other":          {nil, nil},
		"/application":        {nil, nil},
		"/volume/config":      {nil, nil},
	} {
		on, below, err := f.sys.subPaths(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, [2][]SubPath{on, below}); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", path, diff)
		}
	}
}
