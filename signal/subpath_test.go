package signal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal/procfs"
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
			for _, single := range []bool{false, true} {
				kind := KindFolder
				switch {
				case isStamped(test.root):
					kind = KindSubPath
				case single:
					kind = KindSingle
				}
				got, is := subPathOf(procfs.Mount{Device: "0:50", Root: test.root, Point: "/point"}, single)
				if is != (test.is || single) || got != (SubPath{"/point", kind, test.stale}) {
					t.Errorf("single file: %t: %+v, %v", single, got, is)
				}
			}
		})
	}
}

func TestSubPathsOfOurOwn(t *testing.T) {
	f := podFake(t)
	stale := configMap + "/..2026_11_20_07_17_43.1/app.conf//deleted"
	f.ours = append(f.ours,
		procfs.Mount{Device: "254:1", Root: stale, Point: "/app/app.conf"},
		procfs.Mount{Device: "254:1", Root: configMap + "/..2026_11_21_07_17_43.2/sites", Point: "/app/sites"})
	app, sites := SubPath{"/app/app.conf", KindSubPath, true}, SubPath{"/app/sites", KindSubPath, false}
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

// A mount of a single file shows what is written into the file, and not what replaces it:
// both podsignal's own, and that of a process which mounts a file in a folder of podsignal's.
func TestSingleFileMount(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"conf/web.conf", "conf/sites/one.conf", "web.conf", "other"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	master := nginx(7)
	f := newFake(t, master)
	f.ours = []procfs.Mount{{Device: "8:1", Root: "/srv/conf", Point: in("conf")}, {Device: "8:1", Root: "/srv/web.conf", Point: in("web.conf")}}
	master.mounts = []procfs.Mount{
		{Device: "8:1", Root: "/srv/conf/web.conf", Point: "/a"},
		{Device: "8:1", Root: "/srv/conf/web.conf//deleted", Point: "/b"},
		{Device: "8:1", Root: "/srv/conf/sites", Point: "/c"},
		{Device: "8:1", Root: "/srv/conf", Point: "/d"},
		{Device: "8:2", Root: "/srv/conf/web.conf", Point: "/e"},
		{Device: "8:1", Root: "/srv/conf/gone", Point: "/f"},
	}
	for path, want := range map[string][2][]SubPath{
		in("web.conf"):      {{{in("web.conf"), KindSingle, false}}, nil},
		in("conf/web.conf"): {nil, nil},
		dir:                 {nil, {{in("web.conf"), KindSingle, false}}},
	} {
		on, below, err := f.sys.subPaths(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, [2][]SubPath{on, below}); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", path, diff)
		}
	}
	for file, want := range map[string]Mounted{
		in("conf"):       {in("conf"), []string{"/c", "/d", "/f"}, []SubPath{{"/a", KindSingle, false}, {"/b", KindSingle, true}}},
		in("conf/sites"): {in("conf"), []string{"/a", "/b", "/c", "/d", "/f"}, nil},
	} {
		got, err := f.finder(Options{Files: []string{file}}).mountsOf(7)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Mounted{want}, got); diff != "" {
			t.Errorf("FILE=%s (-want +got)\n%s", file, diff)
		}
	}
}
