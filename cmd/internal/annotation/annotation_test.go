package annotation

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	for name, values := range map[string]struct{ good, bad []string }{
		"process":      {[]string{"nginx", "php-fpm8.2", "nginx: master process"}, []string{"", "/usr/sbin/nginx", "a\nb"}},
		"cmdline":      {[]string{`-jar .*app\.jar`, "(?i)x"}, []string{"", "(", "a\nb", `\C`}},
		"signal":       {[]string{"HUP", "sighup", "SigUsr2", "1", "12", "34", "64"}, []string{"", "KILL", "STOP", "9", "19", "0", "65", "HUPP", "HUP ", "+1"}},
		"file":         {[]string{"/etc/nginx", "/a, /b", "/a b,/c"}, []string{"", "etc", "/a/*.conf", "/a,b", "/a,,/b"}},
		"exclude":      {[]string{"**/*.md", "a?, b"}, []string{"", "[a", "{a,b}", `a\b`}},
		"min-interval": {[]string{"0", "500ms", "1.5s", "1h30m", "6s"}, []string{"", "6", "-1s", "1d", "9000h", "1s1s1s1s"}},
		"splay":        {[]string{"5m"}, []string{"5"}},
		"expect":       {[]string{"replaced", "Read", "none"}, []string{"", "kept", "nonesuch"}},
		"reload-url": {
			[]string{"http://127.0.0.1:9090/-/reload", "https://localhost/x?a=b", "http://[::1]:80", "http://localhost:65535/%2e"},
			[]string{
				"", "http://example.com/", "http://127.0.0.1.example.com/", "http://localhost@example.com/", "http://user:password@localhost/",
				"http://localhost:65536/", "http://localhost:0/", "http://localhost/%zz", "http://localhost/a b", "ftp://localhost/", "http://localhost:80evil",
				"http://localhost\\@example.com/", "http://localhost/#a",
			},
		},
		"listen":    {[]string{"9533", ":9533", ":65535"}, []string{"", "0", ":65536", "127.0.0.1:9533", "http"}},
		"hold":      {[]string{"true", "false"}, []string{"", "True", "yes", "1", "/podinfo/approved"}},
		"container": {[]string{"web", "a-1"}, []string{"", "Web", "-a", "a-", strings.Repeat("a", 64)}},
		"volume":    {[]string{"conf", "conf, tls"}, []string{"", "conf,", "a b"}},
		"uid":       {[]string{"0", "101", "1000680000", "2147483647", "keep"}, []string{"", "-1", "2147483648", "01", "root", "4294967296"}},
		"image":     {[]string{"podsignal:0.1.0", "host:5000/a/b@sha256:ab"}, []string{"", "a b", " a", "-a"}},
		"validate":  {[]string{"nginx -t -q"}, []string{""}},
	} {
		a := Find(name)
		for _, value := range values.good {
			if err := a.Check(value); err != nil {
				t.Errorf("%s=%q %v", a.Key(), value, err)
			}
		}
		for _, value := range values.bad {
			if a.Check(value) == nil {
				t.Errorf("%s=%q is taken", a.Key(), value)
			}
		}
	}
	if Find("synced-at") != nil || Find("approved") != nil || Find("https-proxy") != nil {
		t.Error("the list is not closed")
	}
}

// TestSignalNames holds the pattern against the kernel's table.
func TestSignalNames(t *testing.T) {
	a := Find("signal")
	for i := 1; i < 32; i++ {
		sig := unix.Signal(i)
		name, want := unix.SignalName(sig), sig != unix.SIGKILL && sig != unix.SIGSTOP
		if got := a.Check(name) == nil; got != want {
			t.Errorf("%s taken: %v, want %v", name, got, want)
		}
	}
}

func TestNotWithHold(t *testing.T) {
	pattern := regexp.MustCompile(NotWithHold)
	for _, path := range []string{"/", "//", "/.", "/./", "/podinfo", "/podinfo/", "//podinfo", "/./podinfo/x", HoldFolder, HoldFile, "/a/../podinfo", "/a/.."} {
		if !pattern.MatchString(path) {
			t.Errorf("%s is taken", path)
		}
	}
	for _, path := range []string{"/etc", "/etc/podinfo", "/podinfos", "/.podinfo", "/...", "/..a/b", "/a/..b", "/./a", "/etc/nginx/conf.d"} {
		if pattern.MatchString(path) {
			t.Errorf("%s is not taken", path)
		}
	}
}
