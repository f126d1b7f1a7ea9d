//go:build admission

package admission_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

// values are given to each annotation, and to each key of the parameter: some are good for some.
var values = []string{
	"-1", "0", "1", "+1", "01", "0x10", "1e9", "1.5", "101", "65536", "2147483648", "99999999999999999999", "NaN", "1s", "-1s", "1d", "9000h", "1s1s1s1s",
	"a b", "A", "a", "-a", "a-", "a.b", "a_b", "a,b", "a,,b", ",", "a:b", "a@b", "a/b", "/", "//", "/a", "/a,b", "/a/*", "/a/[b", "/{a", `\`, `'`, `"`, "`",
	"$", "$$", "$(HOME)", "${HOME}", "%", "%zz", "#", "?", "*", "**", "[", "]", "{", "}", "(", ")", "(?P<a", `\C`, "a\nb", "a\tb", "a\x01b", "\u00a0a", "é", "µs", "🦀", "\ufeffa",
	"null", "none", "true", "~", "[]", "{}", "KILL", "STOP", "9", "19", "SIGKILL", "HUP", "hup", "SIGSIGHUP", "HUP ", "nginx", "conf", "con", "keep", "root",
	"http://127.0.0.1/", "http://localhost@evil.example/", "http://evil.example/", "http://[::1]:80", "file:///etc/passwd", "localhost:80", ":0", ":80", ":65536", "0.0.0.0:80",
	"Always", "always", "1m", "1Mi", "16Mi", "32Mi", "1Gi", "2Gi", "100", "podsignal:1", "podsignal :1", "Podsignal@sha256:x", strings.Repeat("a", 64), strings.Repeat("a", 5000), strings.Repeat("(", 5000), strings.Repeat("/a", 100000),
}

// A bad value has the pod created without podsignal, and warns.
func testValues(t *testing.T, s *server) {
	for _, a := range annotation.All {
		t.Run(a.Name, func(t *testing.T) {
			good, bad := 0, 0
			for _, value := range values {
				asked := pod("{podsignal/process: nginx}", simple)
				asked["metadata"].(object)["annotations"].(object)[a.Key()] = value
				got := s.create(t, asked)
				if got.code != 201 {
					t.Errorf("%.80q blocks the pod: %s", value, got.body)
					continue
				}
				isGood := a.Check(strings.TrimSpace(value)) == nil && len(value) < 32768 || !a.Policy
				switch added := sidecar(got.object) != nil; {
				case added && !isGood:
					t.Errorf("%.80q is taken", value)
				case !added && len(got.warnings) == 0:
					t.Errorf("%.80q: no warning", value)
				case !added && isGood && !strings.Contains(strings.Join(got.warnings, "\n"), "podsignal is not added: podsignal/"):
					t.Errorf("%.80q is not taken: %.500q", value, got.warnings)
				case added:
					good++
				default:
					bad++
				}
			}
			if good == 0 || bad == 0 && a.Policy {
				t.Errorf("%d values are good, and %d are bad", good, bad)
			}
		})
	}
}

// With a hold no path of FILE has the approvals in it: podsignal would end at its start.
func testHeldFiles(t *testing.T, s *server) {
	added := 0
	for _, value := range append([]string{"/podinfo", "/podinfo/approved", "/etc,//podinfo/", "/./podinfo", "/a/../podinfo", "/a/..", "/.", "/podinfos", "/etc/podinfo"}, values...) {
		asked := pod("{podsignal/process: nginx, podsignal/hold: 'true'}", simple)
		asked["metadata"].(object)["annotations"].(object)["podsignal/file"] = value
		got := s.create(t, asked)
		if got.code != http.StatusCreated {
			t.Errorf("%.80q blocks the pod: %s", value, got.body)
		}
		container := sidecar(got.object)
		if container == nil {
			if len(got.warnings) == 0 {
				t.Errorf("%.80q: no warning", value)
			}
			continue
		}
		added++
		for _, v := range container["env"].([]any) {
			files, _ := v.(object)["value"].(string)
			for path := range strings.SplitSeq(files, ",") {
				clean := filepath.Clean(strings.TrimSpace(path))
				if v.(object)["name"] == "FILE" && (clean == "/" || strings.HasPrefix(clean+"/", "/podinfo/")) {
					t.Errorf("%.80q is taken", value)
				}
			}
		}
	}
	if added == 0 {
		t.Error("no value is taken")
	}
}

func checked(name, value string) bool { return annotation.Find(name).Check(value) == nil }
