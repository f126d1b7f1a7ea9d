package signal

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal/procfs"
)

func TestUnder(t *testing.T) {
	root := procfs.Mount{Device: "0:1", Root: "/", Point: "/"}
	etc := procfs.Mount{Device: "0:2", Root: "/etc", Point: "/etc"}
	web := procfs.Mount{Device: "0:3", Root: "/v", Point: "/etc/web"}
	over := procfs.Mount{Device: "0:4", Root: "/w", Point: "/etc/web"}
	for name, test := range map[string]struct {
		mounts []procfs.Mount
		path   string
		want   procfs.Mount
	}{
		"the only one":             {[]procfs.Mount{root}, "/etc/web/x", root},
		"the innermost":            {[]procfs.Mount{root, etc, web}, "/etc/web/x", web},
		"whatever the order":       {[]procfs.Mount{web, etc, root}, "/etc/web/x", web},
		"the point itself":         {[]procfs.Mount{root, etc, web}, "/etc/web", web},
		"not by a part of a name":  {[]procfs.Mount{root, etc, web}, "/etc/website/x", etc},
		"the last over each other": {[]procfs.Mount{root, web, over}, "/etc/web/x", over},
		"none":                     {[]procfs.Mount{etc, web}, "/var/x", procfs.Mount{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := under(test.mounts, test.path)
			if got != test.want || ok != (test.want != procfs.Mount{}) {
				t.Errorf("%+v, %t; want %+v", got, ok, test.want)
			}
		})
	}
}

// A file that is not there yet counts as where it will be.
func TestRealPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		dir + "/link":             dir + "/real",
		dir + "/link/to/come":     dir + "/real/to/come",
		dir + "/real":             dir + "/real",
		"/":                       "/",
		"/podsignal-none":         "/podsignal-none",
		"/podsignal-none/a/b.txt": "/podsignal-none/a/b.txt",
	} {
		if got := realPath(in); got != want {
			t.Errorf("realPath(%q) = %q, want %q", in, got, want)
		}
	}
}

// What a thread shows is the whole table, however small the buffer is.
func TestMountsOfThread(t *testing.T) {
	want, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	got, err := mountsOfThread(strconv.Itoa(os.Getpid()), make([]byte, 64), errGone)
	if err != nil || string(got) != string(want) {
		t.Errorf("%v\n%s", err, cmp.Diff(string(want), string(got)))
	}
	if _, err := mountsOfThread("self", nil, errGone); !errors.Is(err, errGone) {
		t.Errorf("of podsignal itself: %v, want the error that was", err)
	}
}
