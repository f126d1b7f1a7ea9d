package inject

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// volumes are of each sort, mounted at the path of its name.
const volumes = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: nginx
    image: nginx
    securityContext: {runAsUser: 101}
    volumeMounts:
    - {name: kube-api-access-x, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}
    - {name: cache, mountPath: /cache}
    - {name: secret, mountPath: /secret}
    - {name: csi, mountPath: /csi}
    - {name: projected, mountPath: /projected}
    - {name: downward, mountPath: /downward}
    - {name: conf, mountPath: /conf}
  volumes:
  - {name: conf, configMap: {name: conf}}
  - {name: secret, secret: {secretName: secret}}
  - {name: projected, projected: {sources: [{serviceAccountToken: {path: token}}, {secret: {name: more}}]}}
  - {name: csi, csi: {driver: secrets-store.csi.k8s.io}}
  - {name: cache, emptyDir: {}}
  - {name: downward, downwardAPI: {items: []}}
  - name: kube-api-access-x
    projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: kube-root-ca.crt}}, {downwardAPI: {}}]}
`

// podsignal finds what the kubelet keeps up to date by itself. FILE is for the rest.
func TestFile(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		file   string
		mounts []string
	}{
		{"all", nil, "", []string{"/secret", "/projected", "/conf"}},
		{"some", []string{"--volume=conf"}, "", []string{"/conf"}},
		{"of CSI", []string{"--volume=conf,csi"}, "/csi,/conf", []string{"/csi", "/conf"}},
		{"of the downward API", []string{"--volume=downward"}, "/downward", []string{"/downward"}},
		{"an emptyDir", []string{"--volume=cache"}, "/cache", []string{"/cache"}},
		{"given", []string{"--env=FILE=/conf/nginx.conf"}, "/conf/nginx.conf", []string{"/secret", "/projected", "/conf"}},
		{"in the program's image, all", []string{"--validate=nginx -t"}, "", []string{
			"/var/run/secrets/kubernetes.io/serviceaccount", "/cache", "/secret", "/csi", "/projected", "/downward", "/conf", "/podsignal-bin",
		}},
		{"in the program's image, some", []string{"--validate=nginx -t", "--volume=conf"}, "/conf", []string{
			"/var/run/secrets/kubernetes.io/serviceaccount", "/cache", "/secret", "/csi", "/projected", "/downward", "/conf", "/podsignal-bin",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := injected(t, volumes, append(tt.args, "--process=nginx")...)
			c := podsignalIn(t, out)
			if got := envOf(c)["FILE"]; got != tt.file {
				t.Errorf("FILE is %q, want %q", got, tt.file)
			}
			if diff := cmp.Diff(tt.mounts, mountsIn(c)); diff != "" {
				t.Errorf("mounts, wanted (-) and got (+):\n%s", diff)
			}
		})
	}
}

// A FILE that is there stays, with what it needs.
func TestFileStays(t *testing.T) {
	there := func(file, mounts string) string {
		return edited(t, volumes, "spec:", "spec:\n  shareProcessNamespace: true\n  initContainers:\n  - name: podsignal\n    image: a.example/podsignal\n"+
			"    restartPolicy: Always\n    env: [{name: FILE, value: \""+file+"\"}]\n    volumeMounts: ["+mounts+"]")
	}
	tests := []struct {
		name, file, mounts string
		args               []string
		wantFile           string
		wantMounts         []string
		told               string
	}{
		{
			"the same volume", "/conf", "{name: conf, mountPath: /conf, readOnly: true}",
			[]string{"--volume=conf"},
			"/conf",
			[]string{"/conf"},
			"",
		},
		{
			"at another path", "/config/nginx.conf", "{name: conf, mountPath: /config, readOnly: true}",
			[]string{"--volume=conf"},
			"/config/nginx.conf",
			[]string{"/config"},
			"",
		},
		{
			"a folder above", "/etc", "{name: conf, mountPath: /etc/conf, readOnly: true}",
			[]string{"--volume=conf"},
			"/etc",
			[]string{"/etc/conf"},
			"",
		},
		{
			"another volume", "/conf", "{name: conf, mountPath: /conf, readOnly: true}",
			[]string{"--volume=secret"},
			"/conf",
			[]string{"/conf", "/secret"},
			`FILE="/conf" stays, so podsignal does not watch /secret: set --env FILE=, to have it watch all that it mounts`,
		},
		{
			"a volume that is gone", "/old,/conf", "{name: old, mountPath: /old}, {name: conf, mountPath: /conf, readOnly: true}",
			[]string{"--volume=conf"},
			"/old,/conf",
			[]string{"/conf"},
			"",
		},
		{
			"FILE is taken out", "/conf", "{name: conf, mountPath: /conf, readOnly: true}, {name: cache, mountPath: /cache}",
			[]string{"--volume=secret", "--env=FILE="},
			"",
			[]string{"/secret", "/cache"},
			"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, notes := injected(t, there(tt.file, tt.mounts), append(tt.args, "--process=nginx")...)
			c := podsignalIn(t, out)
			if got := envOf(c)["FILE"]; got != tt.wantFile {
				t.Errorf("FILE is %q, want %q", got, tt.wantFile)
			}
			if diff := cmp.Diff(tt.wantMounts, mountsIn(c)); diff != "" {
				t.Errorf("mounts, wanted (-) and got (+):\n%s", diff)
			}
			if told := strings.Contains(notes, "FILE="); told != (tt.told != "") || !strings.Contains(notes, tt.told) {
				t.Errorf("told %q, want %q", notes, tt.told)
			}
		})
	}
}
