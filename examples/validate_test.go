package examples_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// HAProxy with Compose: what its own command rejects does not reach it.
func TestComposeValidate(t *testing.T) {
	needDocker(t)
	dir := filepath.Join(t.TempDir(), "validate")
	if err := os.CopyFS(dir, os.DirFS("validate")); err != nil {
		t.Fatal(err)
	}
	image := fmt.Sprintf("podsignal:test-validate-%d", os.Getpid())
	run(t, nil, "docker", "build", "-t", image, "--build-arg", goproxy(t), "..")
	t.Cleanup(func() { clean(t, "docker", "rmi", image) })
	edit := func(file, word, by string) {
		t.Helper()
		path := filepath.Join(dir, file)
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte(word)) {
			t.Fatalf("%s has no %q: %v", file, word, err)
		}
		// As an editor does, and sed -i: by a new file.
		if err := os.WriteFile(path+"~", bytes.ReplaceAll(content, []byte(word), []byte(by)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
	}
	edit("Dockerfile", "podsignal:0.1.0", image)
	address := freeAddress(t)
	p := &project{
		T:       t,
		command: append(composeCommand(t), "-f", filepath.Join(dir, "compose.yaml"), "-p", fmt.Sprintf("podsignal-validate-%d", os.Getpid())),
		env:     []string{fmt.Sprintf("HAPROXY_PORT=%d", address.Port)},
		url:     "http://" + address.String(),
	}
	t.Cleanup(func() {
		if t.Failed() {
			p.clean("logs", "--no-color", "--tail=50")
		}
		p.clean("down", "-v", "--rmi", "local")
	})
	p.compose("up", "-d", "--build")
	p.waitFor("hello from HAProxy")
	haproxy := p.instance("haproxy")
	log := func(word string) {
		t.Helper()
		said := ""
		for last := time.Now().Add(time.Minute); time.Now().Before(last); time.Sleep(50 * time.Millisecond) {
			if said = p.compose("logs", "--no-color", "podsignal"); strings.Contains(said, word) {
				return
			}
		}
		t.Fatalf("podsignal does not log %s:\n%s", word, said)
	}
	log("process found")

	edit("conf/haproxy.cfg", "frontend", "frontent")
	log("outcome=invalid")
	log("unknown keyword 'frontent'") // what HAProxy says about it
	p.waitFor("hello from HAProxy")
	edit("conf/haproxy.cfg", "frontent", "frontend")
	edit("conf/haproxy.cfg", "hello", "goodbye")
	p.waitFor("goodbye from HAProxy")
	log("outcome=replaced")
	if said := p.compose("logs", "--no-color", "podsignal"); strings.Count(said, "msg=signalled") != 1 {
		t.Errorf("want one signal, for what is valid:\n%s", said)
	}
	if now := p.instance("haproxy"); now != haproxy {
		t.Errorf("HAProxy was %s and is %s: it has been restarted", haproxy, now)
	}
}
