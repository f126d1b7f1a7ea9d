//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testDigests compares what the plugin computes with what podsignal does, of each kind of volume.
func testDigests(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	binary := m.config("ConfigMap", "binaryData", "-binary", object{"blob": "AP8K"})
	binary["data"] = object{"text": "hello", "gone": "1"}
	m = append(m, binary,
		m.secret("-secret", object{"key": "hello", "cert": "x"}),
		m.configMap("-items", object{"a": "hello", "b": "2", "c": "3"}))
	reference := func(suffix string) object { return object{"name": name + suffix} }
	volumes := []object{
		{"name": "binary", "configMap": reference("-binary")},
		{"name": "secret", "secret": object{"secretName": name + "-secret", "defaultMode": 0o444}},
		{"name": "items", "projected": object{"defaultMode": 0o444, "sources": []any{
			object{"configMap": object{"name": name + "-items", "items": []any{
				object{"key": "a", "path": "deep/er/a"}, object{"key": "b", "path": "deep/b"}, object{"key": "c", "path": "c"}, object{"key": "none", "path": "none"},
			}, "optional": true}},
			object{"secret": object{"name": name + "-secret", "items": []any{object{"key": "key", "path": "deep/key"}}}},
		}}},
		{"name": "absent", "configMap": object{"name": name + "-absent", "optional": true}},
		{"name": "token", "projected": object{"sources": []any{
			object{"serviceAccountToken": object{"path": "token"}}, object{"configMap": object{"name": name + "-items"}},
		}}},
	}
	file := []string{"/etc/nginx/conf.d"}
	for _, v := range volumes {
		path := "/volumes/" + v["name"].(string)
		m.mount(v, path, "podsignal")
		file = append(file, path)
	}
	file = append(file, "/volumes/items/deep", "/volumes/items/deep/er/a", "/volumes/items/none", "/volumes/binary/blob")
	m.set(object{"FILE": strings.Join(file, ","), "EXCLUDE": "**/c", "DRY_RUN": "true"})
	a := start(t, c, m)

	// all has the digests of each path, when those of the pod and the API are the same.
	all := func() map[string]string {
		var found map[string]string
		a.wait("the digests of the API in the pod", func() (bool, string) {
			out, _ := a.podsignal(t, "status", "deployment/"+name, "-o", "json")
			_, object, _ := strings.Cut(out, "{")
			var doc struct {
				Pods []struct {
					Rules []struct {
						Paths []struct {
							Path, Digest string
							Wanted       *string
							Local        bool
						}
					}
				}
			}
			if err := json.NewDecoder(strings.NewReader("{" + object)).Decode(&doc); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			found = make(map[string]string)
			for _, p := range doc.Pods[0].Rules[0].Paths {
				switch {
				case p.Path == "/volumes/token":
					if p.Wanted != nil {
						t.Fatalf("the digest of the token is %s", *p.Wanted)
					}
				case p.Wanted == nil:
					t.Fatalf("%s is not known:\n%s", p.Path, out)
				case p.Digest != *p.Wanted:
					return false, out
				default:
					found[p.Path] = p.Digest
				}
			}
			return true, out
		})
		return found
	}
	first := all()
	if got := len(first); got != len(file)-1 {
		t.Errorf("%d paths, want all of %q but the token", got, file)
	}
	if first["/volumes/absent"] == "" || first["/volumes/items/none"] != "" || first["/volumes/binary/blob"] == "" {
		t.Errorf("digests: %v", first)
	}

	// Keys come, change and go, and so does the optional ConfigMap.
	a.edit("hello", "goodbye")
	a.run(t, nil, "patch", "configmap", name+"-binary", "--type=merge", "--patch", `{"data":{"gone":null,"new":"1"},"binaryData":{"blob":"AP8="}}`)
	a.run(t, nil, "patch", "configmap", name+"-items", "--type=merge", "--patch", `{"data":{"none":"there","b":null}}`)
	absent, err := json.Marshal(m.configMap("-absent", object{"key": "value"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.clean(t, nil, "delete", "configmap", name+"-absent", "--ignore-not-found") })
	a.run(t, absent, "create", "-f", "-")
	second := all()
	for path, digest := range first {
		if second[path] == digest {
			t.Errorf("%s has still %q", path, digest)
		}
	}
	want := a.digest(object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "any"}, "data": object{"key": "value"}})
	if !strings.HasPrefix(want, second["/volumes/absent"]+"  ") {
		t.Errorf("of a manifest it is %s, and of the volume %s", want, second["/volumes/absent"])
	}
	a.run(t, nil, "delete", "configmap", name+"-absent")
	if third := all(); third["/volumes/absent"] != first["/volumes/absent"] {
		t.Errorf("of the volume of no ConfigMap it is %q, and was %q", third["/volumes/absent"], first["/volumes/absent"])
	}
}

// digest is what kubectl podsignal digest prints of an object.
func (a *app) digest(o object) string {
	a.Helper()
	content, err := json.Marshal(o)
	if err != nil {
		a.Fatal(err)
	}
	file := filepath.Join(a.TempDir(), "manifest.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		a.Fatal(err)
	}
	if err := a.plugin(); err != nil {
		a.Fatal(err)
	}
	out, err := kubectl(a.ctx, nil, "podsignal", "digest", "-f", file)
	if err != nil {
		a.Fatal(err)
	}
	return out
}
