// Package gitsync_test runs the example without a cluster: the test plays git-sync.
package gitsync_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// deadline is for what must happen, on a machine that is busy.
const deadline = 30 * time.Second

type container struct {
	Name    string
	Command []string
	Env     []struct{ Name, Value string }
}

func TestGitSync(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("install nginx")
	}
	containers := manifest(t)
	tmp, git := t.TempDir(), t.TempDir()
	address := freeAddress(t)
	conf := strings.NewReplacer("/tmp/", tmp+"/", "listen 8080", "listen "+address).Replace(readme(t))
	repository := map[string]string{"nginx.conf": conf, "README.md": "1", "sites/README.md": "1"}
	sync := gitSync{root: git, link: containers["git-sync"].value(t, "GITSYNC_LINK")}
	if once := containers["git-sync-once"].value(t, "GITSYNC_LINK"); once != sync.link {
		t.Errorf("git-sync begins with the link %s, and goes on with %s", once, sync.link)
	}
	sync.commit(t, repository)

	nginx := containers["nginx"].Command
	for i := range nginx {
		nginx[i] = strings.ReplaceAll(nginx[i], "/git", git)
	}
	time.Sleep(50 * time.Millisecond) // the first commit is there well before nginx starts
	run(t, filepath.Join(tmp, "nginx.log"), nil, nginx...)
	answers := func(want string) bool {
		client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get("http://" + address)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return err == nil && string(body) == want
	}
	await(t, "nginx", func() bool { return answers("hello from Git\n") })

	podsignal := filepath.Join(tmp, "podsignal")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", podsignal, "../../cmd/podsignal").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	env := []string{"LOG_LEVEL=debug", "CMDLINE=" + regexp.QuoteMeta(git)} // other nginxes are not in the pod
	for _, v := range containers["podsignal"].Env {
		env = append(env, v.Name+"="+strings.ReplaceAll(v.Value, "/git", git))
	}
	log := filepath.Join(tmp, "podsignal.log")
	run(t, log, env, podsignal)
	logged := func(expr string) int {
		content, err := os.ReadFile(log)
		check(t, err)
		return len(regexp.MustCompile(expr).FindAll(content, -1))
	}
	await(t, "podsignal to find nginx", func() bool { return logged(`msg="process found"`) == 1 })

	looks := func() int { return logged("files unchanged") }
	before := looks()
	repository["README.md"] = "2"
	sync.commit(t, repository)
	await(t, "a look at a commit of README.md alone", func() bool { return looks() > before })
	repository["nginx.conf"] = strings.ReplaceAll(conf, "hello", "goodbye")
	sync.commit(t, repository)
	await(t, "the new answer", func() bool { return answers("goodbye from Git\n") })
	await(t, "its outcome", func() bool { return logged(`outcome=replaced`) == 1 })
	before = looks()
	repository["sites/README.md"] = "2"
	sync.commit(t, repository)
	await(t, "a look at one more", func() bool { return looks() > before })
	if n := logged("msg=signalled"); n != 1 {
		content, _ := os.ReadFile(log)
		t.Errorf("%d signals for one commit that counts:\n%s", n, content)
	}
}

// A gitSync does with its root what git-sync 4 does.
type gitSync struct {
	root, link string
	commits    int
}

// commit makes a worktree of a commit, points the link to it, and removes the last one. The
// file .git of a worktree says where git keeps what it knows of it.
func (g *gitSync) commit(t *testing.T, files map[string]string) {
	t.Helper()
	g.commits++
	name := fmt.Sprintf(".worktrees/%040x", g.commits)
	worktree := filepath.Join(g.root, name)
	write := func(name, content string) {
		path := filepath.Join(worktree, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(content), 0o644))
	}
	write(".git", "gitdir: ../../.git/worktrees/"+filepath.Base(name))
	for name, content := range files {
		write(name, content)
	}
	next, link := filepath.Join(g.root, "tmp-link"), filepath.Join(g.root, g.link)
	last, _ := os.Readlink(link) // none at first
	check(t, os.Symlink(name, next))
	check(t, os.Rename(next, link))
	if last != "" {
		check(t, os.RemoveAll(filepath.Join(g.root, last)))
	}
}

// manifest returns the example's containers, each of which has to see the repository.
func manifest(t *testing.T) map[string]container {
	t.Helper()
	content, err := os.ReadFile("kubernetes.yaml")
	check(t, err)
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					InitContainers []container `yaml:"initContainers"`
					Containers     []container
				}
			}
		}
	}
	check(t, yaml.NewDecoder(bytes.NewReader(content)).Decode(&deployment))
	pod := deployment.Spec.Template.Spec
	containers := make(map[string]container)
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		containers[c.Name] = c
	}
	return containers
}

func (c container) value(t *testing.T, variable string) string {
	t.Helper()
	for _, v := range c.Env {
		if v.Name == variable {
			return v.Value
		}
	}
	t.Fatalf("container %s has no variable %s", c.Name, variable)
	return ""
}

// readme is the nginx.conf that README.md shows.
func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("README.md")
	check(t, err)
	var conf strings.Builder
	for line := range strings.Lines(string(content)) {
		code, is := strings.CutPrefix(line, "    ")
		if is && (conf.Len() > 0 || strings.HasPrefix(code, "pid ")) {
			conf.WriteString(code)
		} else if conf.Len() > 0 {
			break
		}
	}
	return conf.String()
}

// run runs a command, with standard error in a file, until the test is over.
func run(t *testing.T, stderr string, env []string, command ...string) {
	t.Helper()
	file, err := os.Create(stderr)
	check(t, err)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr, cmd.Env = file, env
	check(t, cmd.Start())
	t.Cleanup(func() {
		check(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", command[0], err)
		}
		check(t, file.Close())
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", deadline, what)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}
