package signal

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMounts(t *testing.T) {
	const volume = "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~configmap/web"
	for name, test := range map[string]struct {
		text string
		want []mount
	}{
		"none": {"", nil},
		"root of a container": {
			"1022 871 0:157 / / rw,relatime master:402 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c\n",
			[]mount{{"0:157", "/", "/"}},
		},
		"ConfigMap": {
			"1031 1022 254:1 " + volume + " /etc/nginx/conf.d ro,relatime - ext4 /dev/vda1 rw\n",
			[]mount{{"254:1", volume, "/etc/nginx/conf.d"}},
		},
		"Secret": {
			"1032 1022 0:150 / /etc/nginx/tls ro,relatime - tmpfs tmpfs rw,size=65536k\n",
			[]mount{{"0:150", "/", "/etc/nginx/tls"}},
		},
		"subPath, stale": {
			"1033 1022 254:1 " + volume + "/..2026_11_21_07_17_43.3649358542/app.conf//deleted /app.conf ro - ext4 /dev/vda1 rw\n",
			[]mount{{"254:1", volume + "/..2026_11_21_07_17_43.3649358542/app.conf//deleted", "/app.conf"}},
		},
		"escaped": {
			`5 1 0:5 /a\040b /tab\011nl\012hash\043back\134040 rw - tmpfs tmpfs rw` + "\n",
			[]mount{{"0:5", "/a b", "/tab\tnl\nhash#back\\040"}},
		},
		"spaces that the kernel does not escape": {
			"5 1 0:5 /a\u00a0b /c\u3000\vd rw - tmpfs tmpfs rw\n",
			[]mount{{"0:5", "/a\u00a0b", "/c\u3000\vd"}},
		},
		"optional fields": {
			"5 1 0:5 / /a rw shared:1 master:2 propagate_from:3 unbindable - tmpfs tmpfs rw\n",
			[]mount{{"0:5", "/", "/a"}},
		},
		"two, the last without an end of line": {
			"5 1 0:5 / / rw - tmpfs tmpfs rw\n6 5 0:6 /x /y rw - tmpfs tmpfs rw",
			[]mount{{"0:5", "/", "/"}, {"0:6", "/x", "/y"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseMounts([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(mount{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseMountsMalformed(t *testing.T) {
	for name, text := range map[string]string{
		"empty line":    "\n",
		"cut":           "5 1 0:5 /\n",
		"no options":    "5 1 0:5 / /a\n",
		"one of two":    "5 1 0:5 / / rw - tmpfs tmpfs rw\n6 5\n",
		"other content": "no such process",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseMounts([]byte(text)); err == nil {
				t.Errorf("parsed to %+v", got)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"/plain":           "/plain",
		`\040`:             " ",
		`/a\040b`:          "/a b",
		`/a\134040`:        `/a\040`,
		`\043\012\011`:     "#\n\t",
		`\377`:             "\xff",
		`/x//deleted`:      "/x//deleted",
		`/x\040y//deleted`: "/x y//deleted",
		// The kernel writes none of these: they stay as they are.
		`\`:    `\`,
		`\04`:  `\04`,
		`\049`: `\049`,
		`\400`: `\400`,
		`\+40`: `\+40`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUnder(t *testing.T) {
	root := mount{"0:1", "/", "/"}
	etc := mount{"0:2", "/etc", "/etc"}
	web := mount{"0:3", "/v", "/etc/web"}
	over := mount{"0:4", "/w", "/etc/web"}
	for name, test := range map[string]struct {
		mounts []mount
		path   string
		want   mount
	}{
		"the only one":             {[]mount{root}, "/etc/web/x", root},
		"the innermost":            {[]mount{root, etc, web}, "/etc/web/x", web},
		"whatever the order":       {[]mount{web, etc, root}, "/etc/web/x", web},
		"the point itself":         {[]mount{root, etc, web}, "/etc/web", web},
		"not by a part of a name":  {[]mount{root, etc, web}, "/etc/website/x", etc},
		"the last over each other": {[]mount{root, web, over}, "/etc/web/x", over},
		"none":                     {[]mount{etc, web}, "/var/x", mount{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := under(test.mounts, test.path)
			if got != test.want || ok != (test.want != mount{}) {
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
