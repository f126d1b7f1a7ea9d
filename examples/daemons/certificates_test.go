package daemons_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// certified are the manifests in examples/tls, with the Secret that they mount.
var certified = []daemon{
	example("tls/nginx.yaml", daemon{
		name:    "nginx",
		program: "/usr/sbin/nginx",
		pkg:     "nginx",
		args:    []string{"-g", "daemon off;"},
		prepare: nginxConf("/tmp", "/tmp/nginx.pid"),
		secret:  certManager,
	}),
	certifiedHAProxy("HAProxy", certManager),
}

// renamed are the other ways for HAProxy to find the key, in README.md of examples/tls.
var renamed = []daemon{
	certifiedHAProxy("items", func(certificate, key string) volumetest.Files {
		return volumetest.Files{"site.pem": certificate, "site.pem.key": key}
	}, withoutDelExt, [2]string{"/etc/tls/tls.crt", "/etc/tls/"}),
	certifiedHAProxy("CombinedPEM", func(certificate, key string) volumetest.Files {
		files := certManager(certificate, key)
		files["tls-combined.pem"] = key + "\n" + certificate
		return files
	}, withoutDelExt, [2]string{"/etc/tls/tls.crt", "/etc/tls/tls-combined.pem"}),
	linked(certifiedHAProxy("links", certManager, withoutDelExt, [2]string{"/etc/tls/tls.crt", links})),
}

var withoutDelExt = [2]string{"ssl-load-extra-del-ext", ""}

// certifiedHAProxy is that of the manifest, with words of its configuration replaced.
func certifiedHAProxy(name string, secret func(certificate, key string) volumetest.Files, words ...[2]string) daemon {
	d := example("tls/haproxy.yaml", daemon{
		name:    name,
		program: "/usr/sbin/haproxy",
		pkg:     "haproxy",
		env:     []string{"VERIFY=5s"}, // a worker that is busy takes its time to end
		secret:  secret,
	})
	for _, pair := range words {
		d.files = replace(d.files, pair)
	}
	return d
}

// links is a folder of the containers with links into the volume.
const links = "/etc/haproxy/certs"

// linked has HAProxy and podsignal name the links instead of the volume.
func linked(d daemon) daemon {
	volumes := d.prepare
	d.prepare = func() error {
		for _, dir := range []string{links, container + links} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			for from, to := range map[string]string{"site.pem": "tls.crt", "site.pem.key": "tls.key"} {
				if err := os.Symlink(filepath.Join(d.volumes[0], to), filepath.Join(dir, from)); err != nil {
					return err
				}
			}
		}
		return volumes()
	}
	d.file = d.dir + "," + links
	return d
}

// certManager is what cert-manager's Secret has of a certificate that has signed itself.
func certManager(certificate, key string) volumetest.Files {
	return volumetest.Files{"tls.crt": certificate, "tls.key": key, "ca.crt": certificate}
}

// pairs are private keys and their certificates, as PEM. The serial number of a
// certificate is its index.
var pairs = func() (made [4]struct{ certificate, key string }) {
	for i := range made {
		key, private := newKey()
		made[i].certificate, made[i].key = newCertificate(key, int64(i)), private
	}
	return made
}()

// TestCertificates renews a certificate, then writes one that is not of the key, and
// then the key of that one too.
func TestCertificates(t *testing.T) {
	inPods(t, certified, func(t *testing.T, d daemon) {
		p, end := d.serve(t)
		d.renew(t, 2, 2)
		d.wantServed(t, p, 1, "replaced", 2)
		d.renew(t, 3, 2)
		d.wantServed(t, p, 2, "refused", 2)
		d.renew(t, 3, 3)
		d.wantServed(t, p, 3, "replaced", 3)
		end()
	})
}

// TestFirstPairDiffers is about a certificate that is not of the key in the first renewal.
func TestFirstPairDiffers(t *testing.T) {
	inPods(t, certified, func(t *testing.T, d daemon) {
		p, end := d.serve(t)
		d.renew(t, 2, 1)
		d.wantServed(t, p, 1, "refused", 1)
		d.renew(t, 2, 2)
		d.wantServed(t, p, 2, "replaced", 2)
		end()
	})
}

func TestCertificateRenamed(t *testing.T) {
	inPods(t, renamed, func(t *testing.T, d daemon) {
		p, end := d.serve(t)
		d.renew(t, 2, 2)
		d.wantServed(t, p, 1, "replaced", 2)
		end()
	})
}

// serve starts the server with the first pair, and asks it without a pause until end is
// called, which wants no request to have failed, and the server not to be restarted.
func (d daemon) serve(t *testing.T) (podsignal *process, end func()) {
	t.Helper()
	image := d.prepare
	d.prepare = func() error { return inTurn(image, d.show(1, 1)) }
	d.setting, d.change[0] = serialServed, "1"
	podsignal, pid := d.begin(t)
	before := startTime(t, pid)
	failures := d.ask()
	return podsignal, func() {
		t.Helper()
		if failed := failures(); len(failed) > 0 {
			t.Errorf("%d requests failed, the first: %v", len(failed), failed[0])
		}
		if now := startTime(t, pid); now != before {
			t.Errorf("process %s has started at tick %s, it was %s: it has been restarted", pid, now, before)
		}
	}
}

// renew writes the certificate of one pair and the key of another, or the same, by one
// swap of the volume.
func (d daemon) renew(t *testing.T, certificate, key int) {
	t.Helper()
	check(t, d.show(certificate, key)())
}

func (d daemon) show(certificate, key int) func() error {
	return func() error {
		return volumetest.Write(d.volumes[0], d.secret(pairs[certificate].certificate, pairs[key].key))
	}
}

// wantServed waits for what podsignal says of the nth signal, and wants the server to
// serve the certificate with that serial number then.
func (d daemon) wantServed(t *testing.T, p *process, n int, outcome string, serial int) {
	t.Helper()
	d.wantOutcome(t, p, n, outcome)
	switch got, err := serialServed(); {
	case err != nil:
		t.Error(err)
	case got != fmt.Sprint(serial):
		t.Errorf("after signal %d it serves certificate %s, want %d", n, got, serial)
	}
}

// serialServed asks for / on a connection of its own, and returns the serial number of
// the certificate.
func serialServed() (string, error) {
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: insecure},
	}
	response, err := client.Get("https://127.0.0.1:8443")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %s", response.Status)
	}
	return response.TLS.PeerCertificates[0].SerialNumber.String(), nil
}
