package inject

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

// values are one for each annotation that sets a variable.
var values = map[string]string{
	"process": "nginx", "cmdline": `nginx: master \$`, "signal": "USR2", "file": "/etc/nginx/conf.d", "exclude": "**/*.md",
	"min-interval": "6s", "splay": "5m", "expect": "none", "listen": "9533", "validate": "nginx -t",
	"reload-url": "http://127.0.0.1:9090/-/reload", "hold": "true",
}

// Each annotation sets the variable of its name, on the workload or on the pod template.
func TestAnnotations(t *testing.T) {
	for i := range annotation.All {
		a := &annotation.All[i]
		if a.Variable == "" {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			value, found := values[a.Name]
			if !found {
				t.Fatal("values has none for it")
			}
			asking := "podsignal/process: nginx, "
			if a.Name == "process" {
				asking = ""
			}
			out, _ := injected(t, annotated(t, fmt.Sprintf("%s%s: %q", asking, a.Key(), value)))
			want := value
			if a.Name == "hold" {
				want = "/podinfo/approved"
			}
			// The kubelet makes one dollar of two.
			if got := strings.ReplaceAll(envOf(podsignalIn(t, out))[a.Variable], "$$", "$"); got != want {
				t.Errorf("%s is %q, want %q:\n%s", a.Variable, got, want, out)
			}
		})
	}
}

// The variables are in the order of the list, whichever that of the annotations is: the
// admission policies make the same container.
func TestOrder(t *testing.T) {
	out, _ := injected(t, annotated(t, "podsignal/listen: '9533', podsignal/splay: 5m, podsignal/file: /etc/nginx/conf.d, podsignal/signal: HUP, "+
		"podsignal/process: nginx, podsignal/uid: '101', podsignal/image: 'registry.example/other:1'"))
	want := `apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations: {podsignal/listen: '9533', podsignal/splay: 5m, podsignal/file: /etc/nginx/conf.d, podsignal/signal: HUP, podsignal/process: nginx, podsignal/uid: '101', podsignal/image: 'registry.example/other:1'}
spec:
  shareProcessNamespace: true
  initContainers:
  - name: podsignal
    image: registry.example/podsignal:0.1.0
    imagePullPolicy: IfNotPresent
    restartPolicy: Always
    env:
    - name: PROCESS
      value: nginx
    - name: SIGNAL
      value: HUP
    - name: FILE
      value: /etc/nginx/conf.d
    - name: SPLAY
      value: 5m
    - name: LISTEN
      value: "9533"
    ports:
    - name: podsignal
      containerPort: 9533
    volumeMounts:
    - name: conf
      mountPath: /etc/nginx/conf.d
      readOnly: true
    livenessProbe:
      httpGet:
        path: /healthz
        port: podsignal
      timeoutSeconds: 5
    securityContext:
      runAsUser: 101
      runAsNonRoot: true
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
      seccompProfile:
        type: RuntimeDefault
    resources:
      requests:
        cpu: 1m
        memory: 16Mi
      limits:
        memory: 32Mi
  containers:
  - name: nginx
    image: nginx:1.28
    volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]
  volumes: [{name: conf, configMap: {name: conf}}]
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("printed, wanted (-) and got (+):\n%s", diff)
	}
}

func TestUnknownAnnotations(t *testing.T) {
	const known = "known are podsignal/process, podsignal/cmdline, podsignal/signal, podsignal/file, podsignal/exclude, podsignal/min-interval, " +
		"podsignal/splay, podsignal/expect, podsignal/reload-url, podsignal/listen, podsignal/hold, podsignal/container, podsignal/volume, podsignal/uid, " +
		"podsignal/image and podsignal/validate"
	tests := []struct{ name, annotations, want string }{
		{"misspelt", "podsignal/porcess: nginx", "podsignal: Pod/web: unknown annotation podsignal/porcess: did you mean podsignal/process? (" + known + ")\n"},
		{"in another case", "podsignal/process: nginx, podsignal/MIN_INTERVAL: 6s", "podsignal: Pod/web: unknown annotation podsignal/MIN_INTERVAL: did you mean podsignal/min-interval? (" + known + ")\n"},
		{"a variable that none sets", "podsignal/process: nginx, podsignal/https-proxy: 'http://proxy.example'", "podsignal: Pod/web: unknown annotation podsignal/https-proxy: " + known + "\n"},
		{"with credentials", "podsignal/process: nginx, podsignal/notify-url: 'https://hooks.example/secret'", "podsignal: Pod/web: unknown annotation podsignal/notify-url: " + known + "\n"},
		{"reserved", "podsignal/process: nginx, podsignal/synced-at: now, podsignal/approved: me", ""},
		{"of others", "podsignal.example/process: nginx, prometheus.io/scrape: 'true'", ""},
		{"none that asks", "podsignal/signal: HUP", "podsignal: Pod/web (v1): not changed: it has podsignal/signal, but neither podsignal/process nor podsignal/reload-url\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := edited(t, annotated(t, tt.annotations), "image: nginx:1.28", "image: nginx:1.28\n    securityContext: {runAsUser: 101}")
			out, notes := injected(t, in)
			if notes != tt.want {
				t.Errorf("told %q, want %q", notes, tt.want)
			}
			for name := range envOf(podsignalIn(t, out)) {
				if name != "PROCESS" {
					t.Errorf("%s is set:\n%s", name, out)
				}
			}
		})
	}
}

// A bad value is an error that names the annotation, the value and the fix.
func TestBadAnnotations(t *testing.T) {
	tests := []struct{ annotations, want string }{
		{"podsignal/process: /usr/sbin/nginx", `annotation podsignal/process="/usr/sbin/nginx" is a path: use the name alone, nginx`},
		{"podsignal/process: nginx, podsignal/uid: '-1'", `annotation podsignal/uid="-1" is not valid: use a number, such as 101, or keep`},
		{"podsignal/process: nginx, podsignal/hold: 'yes'", `annotation podsignal/hold="yes" is not valid: use true or false`},
		{"podsignal/process: nginx, podsignal/image: 'a b'", `annotation podsignal/image="a b" is not valid: use an image, such as podsignal:0.1.0`},
		{"podsignal/process: nginx, podsignal/splay: '5'", `annotation podsignal/splay="5" is not valid: use a duration, such as 30s or 5m`},
		{"podsignal/process: nginx, podsignal/cmdline: '('", "annotation podsignal/cmdline=\"(\" is not a valid regular expression (error parsing regexp: missing closing ): `(`): use RE2's syntax, such as -jar .*app\\.jar"},
		{"podsignal/reload-url: 'http://hooks.example/'", `annotation podsignal/reload-url="http://hooks.example/" is not valid: use a URL of this pod, such as http://127.0.0.1:9090/-/reload`},
		{"podsignal/reload-url: 'http://localhost/', podsignal/signal: HUP", "annotation podsignal/reload-url and annotation podsignal/signal: podsignal calls a URL, or sends a signal: remove one of them"},
	}
	for _, tt := range tests {
		_, _, err := run(annotated(t, tt.annotations))
		if err == nil || err.Error() != "Pod/web: "+tt.want || !isA[UsageError](err) {
			t.Errorf("%s: error %v, want %s", tt.annotations, err, tt.want)
		}
	}
}

// A flag wins over the workload's annotation, and that over the pod template's.
func TestAnnotationOfTemplate(t *testing.T) {
	const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {podsignal/splay: 2s, podsignal/listen: "2"}}
spec:
  template:
    metadata: {annotations: {podsignal/process: nginx, podsignal/min-interval: 3s, podsignal/splay: 3s, podsignal/listen: "3"}}
    spec:
      containers:
      - {name: nginx, image: nginx, volumeMounts: [{name: conf, mountPath: /conf}]}
      volumes: [{name: conf, configMap: {name: conf}}]
`
	out, _ := injected(t, deployment, "--listen=1")
	want := map[string]string{"PROCESS": "nginx", "MIN_INTERVAL": "3s", "SPLAY": "2s", "LISTEN": "1"}
	if diff := cmp.Diff(want, envOf(podsignalIn(t, out))); diff != "" {
		t.Errorf("variables, wanted (-) and got (+):\n%s", diff)
	}
}

// A URL alone shares no processes, and needs no uid.
func TestReloadURL(t *testing.T) {
	const url = "podsignal/reload-url: 'http://127.0.0.1:9090/-/reload'"
	out, notes := injected(t, edited(t, annotated(t, url), "image: nginx:1.28", "image: nginx:1.28\n    securityContext: {runAsUser: 101, runAsGroup: 102}"))
	c := podsignalIn(t, out)
	if got := written(c, "securityContext", "runAsUser"); got != "65532" || strings.Contains(out, "shareProcessNamespace") || notes != "" {
		t.Errorf("as uid %s, told %q:\n%s", got, notes, out)
	}
	if diff := cmp.Diff(map[string]string{"RELOAD_URL": "http://127.0.0.1:9090/-/reload"}, envOf(c)); diff != "" {
		t.Errorf("variables, wanted (-) and got (+):\n%s", diff)
	}
	out, _ = injected(t, annotated(t, url+", podsignal/uid: '7'"))
	if got := written(podsignalIn(t, out), "securityContext", "runAsUser"); got != "7" {
		t.Errorf("as uid %s, want that of the annotation", got)
	}

	// One that knows the process too has to see it.
	out, _ = injected(t, annotated(t, url+", podsignal/process: haproxy"))
	if got := envOf(podsignalIn(t, out)); !strings.Contains(out, "shareProcessNamespace: true") || got["SIGNAL"] != "" {
		t.Errorf("with a process too:\n%s", out)
	}

	// One that has sent signals sends none any more, and the other way round.
	sends, _ := injected(t, web, "--process=haproxy", "--uid=99")
	out, notes, err := run(edited(t, sends, "annotations: {}", "annotations: {"+url+"}"))
	if err != nil || envOf(podsignalIn(t, out))["SIGNAL"] != "" || !strings.Contains(notes, "SIGNAL was USR2, and is unset now: podsignal calls a URL instead") {
		t.Errorf("%v, told %q:\n%s", err, notes, out)
	}
	_, _, err = run(out, "--process=haproxy", "--signal=USR2")
	if want := "Pod/web: annotation podsignal/reload-url and --signal: podsignal calls a URL, or sends a signal: remove one of them"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	_, _, err = run(edited(t, out, "annotations: {"+url+"}", "annotations: {}"), "--process=haproxy", "--signal=USR2")
	if want := `Pod/web: --signal="USR2": podsignal has RELOAD_URL, and calls that instead of sending a signal: remove it, by --env RELOAD_URL=`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	out, _ = injected(t, edited(t, out, "annotations: {"+url+"}", "annotations: {}"), "--process=haproxy", "--signal=USR2", "--env", "RELOAD_URL=")
	if diff := cmp.Diff(map[string]string{"PROCESS": "haproxy", "SIGNAL": "USR2"}, envOf(podsignalIn(t, out))); diff != "" {
		t.Errorf("variables, wanted (-) and got (+):\n%s", diff)
	}
}
