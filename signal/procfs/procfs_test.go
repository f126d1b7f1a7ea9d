package procfs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMounts(t *testing.T) {
	const volume = "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~configmap/web"
	for name, test := range map[string]struct {
		text string
		want []Mount
	}{
		"none": {"", nil},
		"root of a container": {
			"1022 871 0:157 / / rw,relatime master:402 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c\n",
			[]Mount{{Device: "0:157", Root: "/", Point: "/", FSType: "overlay"}},
		},
		"ConfigMap": {
			"1031 1022 254:1 " + volume + " /etc/nginx/conf.d ro,relatime - ext4 /dev/vda1 rw\n",
			[]Mount{{Device: "254:1", Root: volume, Point: "/etc/nginx/conf.d", FSType: "ext4"}},
		},
		"Secret": {
			"1032 1022 0:150 / /etc/nginx/tls ro,relatime - tmpfs tmpfs rw,size=65536k\n",
			[]Mount{{Device: "0:150", Root: "/", Point: "/etc/nginx/tls", FSType: "tmpfs"}},
		},
		"subPath, stale": {
			"1033 1022 254:1 " + volume + "/..2026_11_21_07_17_43.3649358542/app.conf//deleted /app.conf ro - ext4 /dev/vda1 rw\n",
			[]Mount{{Device: "254:1", Root: volume + "/..2026_11_21_07_17_43.3649358542/app.conf//deleted", Point: "/app.conf", FSType: "ext4"}},
		},
		"escaped": {
			`5 1 0:5 /a\040b /tab\011nl\012hash\043back\134040 rw - tmpfs tmpfs rw` + "\n",
			[]Mount{{Device: "0:5", Root: "/a b", Point: "/tab\tnl\nhash#back\\040", FSType: "tmpfs"}},
		},
		"spaces that the kernel does not escape": {
			"5 1 0:5 /a\u00a0b /c\u3000\vd rw - tmpfs tmpfs rw\n",
			[]Mount{{Device: "0:5", Root: "/a\u00a0b", Point: "/c\u3000\vd", FSType: "tmpfs"}},
		},
		"optional fields": {
			"5 1 0:5 / /a rw shared:1 master:2 propagate_from:3 unbindable - tmpfs tmpfs rw\n",
			[]Mount{{Device: "0:5", Root: "/", Point: "/a", FSType: "tmpfs"}},
		},
		"two, the last without an end of line": {
			"5 1 0:5 / / rw - tmpfs tmpfs rw\n6 5 0:6 /x /y rw - tmpfs tmpfs rw",
			[]Mount{{Device: "0:5", Root: "/", Point: "/", FSType: "tmpfs"}, {Device: "0:6", Root: "/x", Point: "/y", FSType: "tmpfs"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseMounts([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
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
		"no type":       "36 35 98:0 / /mnt rw,noatime master:1 ext3 /dev\n",
		"one of two":    "5 1 0:5 / / rw - tmpfs tmpfs rw\n6 5\n",
		"other content": "no such process",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseMounts([]byte(text)); err == nil {
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

// What the kernel makes of any mount gives that mount back, and nothing panics.
func FuzzParseMounts(f *testing.F) {
	f.Add([]byte("5 1"), "/a b", `/c\040#`, "fuse.a b", "shared:1")
	f.Add([]byte("1 2 3 4 5 - 7\n\n"), "/", "/\u00a0\n\t", "tmpfs", "")
	f.Fuzz(func(t *testing.T, raw []byte, root, point, fstype, optional string) {
		_, _ = ParseMounts(raw)
		if strings.ContainsRune(root+point+fstype, 0) || strings.Trim(optional, "abcdefgh:123") != "" {
			return // never so
		}
		escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace
		if optional != "" {
			optional += " "
		}
		line := fmt.Appendf(nil, "36 35 0:60 %s %s rw,relatime %s- %s %s rw\n", escape(root), escape(point), optional, escape(fstype), "tmpfs")
		got, err := ParseMounts(line)
		if want := []Mount{{"0:60", root, point, fstype}}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", line, got, err, want)
		}
	})
}
