// Package examples_test runs the examples for real.
package examples_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// deadline is how long what must happen may take, on a machine that is busy.
const deadline = 30 * time.Second

// runFor is how long a command may take. The plugin's image compiles Kubernetes' client: that took 4 to
// 6 minutes on a busy machine with 2 cores, and is in Docker's cache after the first time.
const runFor = 15 * time.Minute

// An image is one that this repository builds.
type image struct {
	program    string // its name, also of the image
	dockerfile string // from the top folder
	module     string
	most       int // bytes of its size
	version    []string
}

func TestImage(t *testing.T) {
	podsignal := image{"podsignal", "Dockerfile", "github.com/podsignal/podsignal", 9_000_000, []string{"--version"}}
	plugin := image{"kubectl-podsignal", "cmd/kubectl-podsignal/Dockerfile", "github.com/podsignal/podsignal/cmd/kubectl-podsignal", 40_000_000, []string{"version"}}
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) { testImage(t, podsignal, arch) })
	}
	t.Run(plugin.program, func(t *testing.T) { testImage(t, plugin, runtime.GOARCH) })
}

func testImage(t *testing.T, want image, arch string) {
	needDocker(t)
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	committed := time.Unix(1_700_000_000, 0)
	image := fmt.Sprintf("%s:test-%s-%d", want.program, arch, os.Getpid())
	build := []string{
		"docker", "build", "-f", filepath.Join(top, want.dockerfile), "-t", image,
		"--build-arg", "VERSION=1.2.3", "--build-arg", "COMMIT=abcdef",
		"--build-arg", fmt.Sprint("SOURCE_DATE_EPOCH=", committed.Unix()), "--build-arg", goproxy(t),
	}
	if arch != runtime.GOARCH {
		// With the legacy builder, --platform would ask for a base image of arch.
		build = append(build, "--build-arg", "TARGETARCH="+arch)
	}
	run(t, nil, append(build, top)...)
	t.Cleanup(func() { clean(t, "docker", "rmi", image) })

	id := strings.TrimSpace(run(t, nil, "docker", "create", image))
	t.Cleanup(func() { clean(t, "docker", "rm", id) })
	files, changed := filesOf(t, id)
	names := slices.Sorted(maps.Keys(files))
	if want := []string{"LICENSES", want.program, want.program + ".cdx.json"}; !slices.Equal(names, want) {
		t.Fatalf("the image has the files %v, want %v", names, want)
	}
	for name, at := range changed {
		if !at.Equal(committed) {
			t.Errorf("%s is of %v, want the time of the commit, %v", name, at, committed)
		}
	}
	program, err := elf.NewFile(bytes.NewReader(files[want.program]))
	if err != nil {
		t.Fatal(err)
	}
	if machine := machines[arch]; program.Machine != machine {
		t.Errorf("the binary is for %v, want %v", program.Machine, machine)
	}
	if libs, err := program.ImportedLibraries(); len(libs) > 0 {
		t.Errorf("the binary needs %v, which an empty image has not (%v)", libs, err)
	}
	wantBOM(t, want.module, files[want.program+".cdx.json"], files[want.program])
	wantLicences(t, files["LICENSES"], files[want.program])
	if arch != runtime.GOARCH {
		return
	}

	size, err := strconv.Atoi(inspect(t, "image", image, "{{.Size}}"))
	if err != nil || size > want.most {
		t.Errorf("the image has %d bytes, want at most %d (%v)", size, want.most, err)
	}
	if user := inspect(t, "image", image, "{{.Config.User}}"); user != "65532:65532" {
		t.Errorf("runs as %q unless told otherwise, want 65532:65532", user)
	}
	if platform, want := inspect(t, "image", image, "{{.Os}}/{{.Architecture}}"), "linux/"+arch; platform != want {
		t.Errorf("the image says that it is for %s, want %s", platform, want)
	}
	for label, want := range map[string]string{
		"title": want.program, "licenses": "Apache-2.0", "version": "1.2.3", "revision": "abcdef",
	} {
		label = "org.opencontainers.image." + label
		if got := inspect(t, "image", image, fmt.Sprintf("{{index .Config.Labels %q}}", label)); got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	command := append([]string{"docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", image}, want.version...)
	version := run(t, nil, command...)
	for _, part := range []string{want.program + " 1.2.3 ", "abcdef", "linux/" + arch} {
		if !strings.Contains(version, part) {
			t.Errorf("it says %q, want %q in it", version, part)
		}
	}
}

// wantBOM wants all that the program says it is made of in its bill of materials, and
// no more, each with a licence.
func wantBOM(t *testing.T, module string, content, program []byte) {
	t.Helper()
	var bom cdx.BOM
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&bom); err != nil {
		t.Fatalf("the bill of materials: %v", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}

	main := bom.Metadata.Component
	if main.PackageURL != "pkg:golang/"+module+"@1.2.3" {
		t.Errorf("the bill of materials is for %s", main.PackageURL)
	}
	sum := sha256.Sum256(program)
	if want := (cdx.Hash{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}); (*main.Hashes)[0] != want {
		t.Errorf("its hash is %v, want the program's, %v", (*main.Hashes)[0], want)
	}
	var got []string
	for _, c := range append(*bom.Components, *main) {
		got = append(got, c.PackageURL)
		if c.Licenses == nil {
			t.Errorf("%s has no licence", c.Name)
		}
	}
	want := []string{main.PackageURL, "pkg:golang/stdlib@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, module := range info.Deps {
		version := module.Version
		if module.Replace != nil { // by a folder of this repository
			version = "1.2.3"
		}
		want = append(want, "pkg:golang/"+module.Path+"@"+url.QueryEscape(version)) // the + of +incompatible
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the program's modules (-) and the bill of materials (+):\n%s", diff)
	}
}

// wantLicences wants the licence of this repository, and each module of the program above a text.
func wantLicences(t *testing.T, content, program []byte) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(top, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{string(bytes.Trim(ours, "\n")), "stdlib " + strings.TrimPrefix(info.GoVersion, "go"), info.Main.Path + " 1.2.3"}
	for _, module := range info.Deps {
		version := module.Version
		if module.Replace != nil {
			version = "1.2.3"
		}
		want = append(want, module.Path+" "+version)
	}
	for _, text := range want {
		if !strings.Contains(string(content), "\n"+text+"\n") {
			t.Errorf("LICENSES has not %.80q", text)
		}
	}
}

// What make image-all has docker do, by one that only writes it down.
func TestImageAll(t *testing.T) {
	const script = `#!/bin/sh
echo "docker $*" >>"$DOCKER_LOG"
[ -n "$HAS_BUILDX" ] || [ "$1" != buildx ]
`
	const build = "docker buildx build --load --provenance=false --build-arg VERSION=1.2.3 --build-arg COMMIT=abcdef " +
		"--build-arg SOURCE_DATE_EPOCH=1700000000 --build-arg GOPROXY --platform linux/%[1]s -t registry.example/podsignal:1.2.3-%[1]s ."
	builds := []string{"docker buildx version", fmt.Sprintf(build, "amd64"), fmt.Sprintf(build, "arm64")}
	pushes := []string{
		"docker push registry.example/podsignal:1.2.3-amd64",
		"docker push registry.example/podsignal:1.2.3-arm64",
		"docker buildx imagetools create -t registry.example/podsignal:1.2.3 " +
			"registry.example/podsignal:1.2.3-amd64 registry.example/podsignal:1.2.3-arm64",
	}
	tests := map[string]struct {
		push, buildx string
		want         []string
		fails        string
	}{
		"built":     {"", "1", builds, ""},
		"pushed":    {"1", "1", slices.Concat(builds, pushes), ""},
		"no buildx": {"1", "", builds[:1], "install its package docker-buildx-plugin"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "make", "-C", "..", "image-all", "PUSH="+tt.push,
				"IMAGE=registry.example/podsignal", "VERSION=1.2.3", "COMMIT=abcdef", "SOURCE_DATE_EPOCH=1700000000")
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "DOCKER_LOG="+log, "HAS_BUILDX="+tt.buildx)
			out, err := cmd.CombinedOutput()
			if failed := err != nil; failed != (tt.fails != "") || !strings.Contains(string(out), tt.fails) {
				t.Errorf("make ends with %v, want %q:\n%s", err, tt.fails, out)
			}
			did, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strings.Split(strings.TrimSpace(string(did)), "\n")); diff != "" {
				t.Errorf("wanted (-) and done (+):\n%s", diff)
			}
		})
	}
}

func TestCompose(t *testing.T) {
	needDocker(t)
	p := newProject(t)
	p.compose("up", "-d", "--build")

	p.waitFor("hello from nginx\n")
	nginx, podsignal := p.instance("nginx"), p.instance("podsignal")

	p.write("goodbye from nginx")
	p.waitFor("goodbye from nginx\n")
	if now := p.instance("nginx"); now != nginx {
		t.Errorf("nginx was %s and is %s: it has been restarted, not reloaded", nginx, now)
	}
	p.wantSignals(1)
	p.wantMetrics(`podsignal_signals_total{result="sent",signal="HUP"} 1`,
		"podsignal_out_of_sync 0", "podsignal_targets 1", `podsignal_watch_mode{mode="inotify"} 1`)

	// podsignal outlives nginx, and knows the new one by its next change at the latest.
	for i, restart := range [][]string{{"restart"}, {"stop", "start"}} {
		for _, command := range restart {
			p.compose(command, "nginx")
		}
		if now := p.instance("nginx"); now == nginx {
			t.Errorf("nginx is still %s after %v", now, restart)
		}
		p.waitFor("") // that it is up
		answer := "hello again, after " + strings.Join(restart, " and ")
		p.write(answer)
		p.waitFor(answer + "\n")
		p.wantSignals(2 + i)
	}
	if now := p.instance("podsignal"); now != podsignal {
		t.Errorf("podsignal was %s and is %s: it has not outlived nginx", podsignal, now)
	}

	// A signal too many would come after MIN_INTERVAL, 1 s.
	time.Sleep(1500 * time.Millisecond)
	p.wantSignals(3)
}

// Of a volume that is laid out as the kubelet's are, PROCESS is all there is to say.
func TestComposeVolume(t *testing.T) {
	needDocker(t)
	p := newProject(t)
	// Without a value a variable is this machine's, or else not set.
	const only = "services: {podsignal: {environment: {FILE: , LISTEN: }}}\n"
	override := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(override, []byte(only), 0o644); err != nil {
		t.Fatal(err)
	}
	p.command = append(p.command, "-f", override)
	if err := os.Remove(p.conf); err != nil {
		t.Fatal(err)
	}
	swap := func(answer string) {
		t.Helper()
		if err := volumetest.Write(filepath.Dir(p.conf), volumetest.Files{filepath.Base(p.conf): site(answer)}); err != nil {
			t.Fatal(err)
		}
	}

	swap("hello from a volume")
	p.compose("up", "-d", "--build")
	p.waitFor("hello from a volume\n")
	nginx, podsignal := p.instance("nginx"), strings.TrimSpace(p.compose("ps", "-q", "podsignal"))
	for variable := range strings.Lines(inspect(t, "container", podsignal, `{{range .Config.Env}}{{println .}}{{end}}`)) {
		// PATH is Docker's own, and what has no = is not set.
		if name, _, set := strings.Cut(variable, "="); set && name != "PROCESS" && name != "PATH" {
			t.Errorf("the environment has %q too", variable)
		}
	}

	swap("goodbye from a volume")
	p.waitFor("goodbye from a volume\n")
	if now := p.instance("nginx"); now != nginx {
		t.Errorf("nginx was %s and is %s: it has been restarted, not reloaded", nginx, now)
	}
	p.wantSignals(1)
	if log, want := logs(t, podsignal), " file=/etc/nginx/conf.d found=1 process=nginx "; !strings.Contains(log, want) {
		t.Errorf("podsignal does not say that it has found the volume, %q:\n%s", want, log)
	}
}

// Containers of little memory, of which podsignal must not run out.
func TestSmallContainer(t *testing.T) {
	needDocker(t)
	image := fmt.Sprintf("podsignal:test-small-%d", os.Getpid())
	run(t, nil, "docker", "build", "-t", image, "--build-arg", goproxy(t), "..")
	t.Cleanup(func() { clean(t, "docker", "rmi", image) })
	t.Run("a volume of 1 MiB in 16 MiB", func(t *testing.T) { testSmallContainer(t, image) })
	t.Run("900 clients in 32 MiB", func(t *testing.T) { testCrowdedContainer(t, image) })
	t.Run("20,000 files in 32 MiB", func(t *testing.T) {
		c := watchFiles(t, image, 20_000)
		c.look("files unchanged", 3) // the memory of several looks
		if err := os.WriteFile(filepath.Join(c.dir, "new"), []byte("2"), 0o644); err != nil {
			t.Fatal(err)
		}
		c.look("no matching process", 2)
		c.mustLive()
	})
	t.Run("60,000 files in 32 MiB are an error, and not the end", func(t *testing.T) {
		c := watchFiles(t, image, 60_000)
		c.look(`memory that podsignal may use \(32 MiB\) has room for: .* raise the container's memory limit`, 1)
		c.mustLive()
	})
	t.Run("20,000 files of each of two rules in 32 MiB are an error of one", func(t *testing.T) {
		c := watchFiles(t, image, 20_000, "RULES=one,two", "ONE_PROCESS=web", "TWO_PROCESS=proxy")
		c.look(`memory that podsignal may use \(32 MiB, of which other rules take \d+ MiB\) has room for`, 1)
		c.look("files unchanged", 3)
		c.mustLive()
	})
}

// testSmallContainer is about a volume of 1 MiB, the most that the API server takes.
func testSmallContainer(t *testing.T, image string) {
	dir := filepath.Join(t.TempDir(), "v")
	swap := func(content string) {
		files := make(volumetest.Files)
		for i := range 64 {
			files[fmt.Sprint("key", i)] = strings.Repeat(content, 16<<10)
		}
		if err := volumetest.Write(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	swap("0")
	id := strings.TrimSpace(run(t, nil, "docker", "run", "-d", "--memory", "16m", "--memory-swap", "16m",
		"--network", "none", "--cap-drop", "ALL", "--read-only", "-v", dir+":/v:ro",
		"-e", "FILE=/v", "-e", "PROCESS=web", "-e", "LOG_LEVEL=debug", image))
	t.Cleanup(func() { clean(t, "docker", "rm", "-f", id) })
	// Each change of what it shows has podsignal look for its target anew.
	looked := func(want int) {
		for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			log := logs(t, id)
			if strings.Count(log, "no matching process") >= want {
				return
			}
			if time.Since(start) > deadline {
				t.Fatalf("look %d did not come within %v:\n%s", want, deadline, log)
			}
		}
	}
	looked(1)
	for i := range 20 {
		swap(strconv.Itoa(i%9 + 1))
		looked(i + 2)
	}
	if killed := inspect(t, "container", id, "{{.State.OOMKilled}} {{.State.Running}}"); killed != "false true" {
		t.Errorf("out of memory, and running: %s, want false true", killed)
	}
}

// A small container has podsignal in it, and 32 MiB.
type smallContainer struct {
	*testing.T
	id, dir string
}

func watchFiles(t *testing.T, image string, files int, env ...string) *smallContainer {
	dir := t.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%020d", i)), []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{
		"docker", "run", "-d", "--memory", "32m", "--memory-swap", "32m",
		"--network", "none", "--cap-drop", "ALL", "--read-only", "-v", dir + ":/v:ro",
	}
	for _, set := range append(env, "FILE=/v", "PROCESS=web", "RESYNC=1s", "LOG_LEVEL=debug") {
		args = append(args, "-e", set)
	}
	id := strings.TrimSpace(run(t, nil, append(args, image)...))
	t.Cleanup(func() { clean(t, "docker", "rm", "-f", id) })
	return &smallContainer{t, id, dir}
}

// look waits until the log has as many lines that match.
func (c *smallContainer) look(line string, times int) {
	c.Helper()
	re := regexp.MustCompile(line)
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		log := logs(c.T, c.id)
		if len(re.FindAllString(log, -1)) >= times {
			return
		}
		if time.Since(start) > deadline {
			c.Fatalf("%q did not come %d times within %v:\n%s", line, times, deadline, log)
		}
	}
}

func (c *smallContainer) mustLive() {
	c.Helper()
	if killed := inspect(c.T, "container", c.id, "{{.State.OOMKilled}} {{.State.Running}}"); killed != "false true" {
		c.Errorf("out of memory, and running: %s, want false true", killed)
	}
}

// 900 clients of /status, at the memory limit of the examples: each gets its answer, and so
// does a probe.
func testCrowdedContainer(t *testing.T, image string) {
	dir := filepath.Join(t.TempDir(), "v")
	if err := volumetest.Write(dir, volumetest.Files{"key": "1"}); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t).String()
	id := strings.TrimSpace(run(t, nil, "docker", "run", "-d", "--memory", "32m", "--memory-swap", "32m",
		"--publish", address+":9533", "--cap-drop", "ALL", "--read-only", "-v", dir+":/v:ro",
		"-e", "FILE=/v", "-e", "PROCESS=web", "-e", "LISTEN=:9533", image))
	t.Cleanup(func() { clean(t, "docker", "rm", "-f", id) })
	// askFor sends a request on a connection that is left open.
	askFor := func(path string) (net.Conn, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: podsignal\r\n\r\n", path)
		return conn, errors.Join(err, conn.SetDeadline(time.Now().Add(deadline)))
	}
	answer := func(conn net.Conn) error {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := askFor("/healthz")
		if err == nil {
			err = answer(conn)
		}
		if err == nil {
			break
		}
		if time.Since(start) > deadline {
			t.Fatalf("it did not answer within %v: %v", deadline, err)
		}
	}
	var clients []net.Conn
	for range 900 {
		conn, err := askFor("/status")
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, conn)
	}
	probe, err := askFor("/healthz")
	if err == nil {
		err = answer(probe)
	}
	if err != nil {
		t.Errorf("the probe: %v", err)
	}
	for i, conn := range clients {
		if err := answer(conn); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	if killed := inspect(t, "container", id, "{{.State.OOMKilled}} {{.State.Running}}"); killed != "false true" {
		t.Errorf("out of memory, and running: %s, want false true", killed)
	}
}

// logs is what a container has written to stderr.
func logs(t *testing.T, id string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", "logs", id).CombinedOutput()
	if err != nil {
		t.Fatalf("docker logs: %v\n%s", err, out)
	}
	return string(out)
}

// A project is nginx/compose.yaml as it runs, with a copy of its configuration.
type project struct {
	*testing.T
	command []string
	env     []string
	conf    string // the file to change
	url     string
	metrics string // podsignal's page
}

func newProject(t *testing.T) *project {
	address, metrics := freeAddress(t), freeAddress(t)
	conf := filepath.Join(t.TempDir(), "conf.d")
	if err := os.CopyFS(conf, os.DirFS("nginx/conf.d")); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("podsignal-test-%d", os.Getpid())
	image := "podsignal:test-" + strconv.Itoa(os.Getpid())
	p := &project{
		T:       t,
		command: append(composeCommand(t), "-f", "nginx/compose.yaml", "-p", name),
		env: []string{
			goproxy(t), "NGINX_CONF=" + conf, "PODSIGNAL_IMAGE=" + image,
			fmt.Sprintf("NGINX_PORT=%d", address.Port), fmt.Sprintf("PODSIGNAL_PORT=%d", metrics.Port),
		},
		conf:    filepath.Join(conf, "site.conf"),
		url:     "http://" + address.String(),
		metrics: "http://" + metrics.String() + "/metrics",
	}
	t.Cleanup(func() {
		if t.Failed() {
			p.clean("ps", "-a")
			p.clean("logs", "--no-color", "--tail=50") // each poll leaves a line with nginx
		}
		p.clean("down", "-v")
		clean(t, "docker", "rmi", image)
	})
	return p
}

func (p *project) compose(args ...string) string {
	p.Helper()
	return run(p.T, p.env, slices.Concat(p.command, args)...)
}

// clean is compose for the end of the test, when its context is done.
func (p *project) clean(args ...string) {
	command := slices.Concat(p.command, args)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.Errorf("%s: %v\n%s", args[0], err, out)
	} else if args[0] != "down" {
		p.Logf("%s:\n%s", args[0], out)
	}
}

// instance identifies one run of a service: its first process and when it started.
func (p *project) instance(service string) string {
	p.Helper()
	id := strings.TrimSpace(p.compose("ps", "-q", service))
	return inspect(p.T, "container", id, "pid {{.State.Pid}} since {{.State.StartedAt}}")
}

// write changes what the site answers, as an editor or sed -i does: by a new file
// that takes the place of the old one.
func (p *project) write(answer string) {
	p.Helper()
	if err := os.WriteFile(p.conf+"~", []byte(site(answer)), 0o644); err != nil {
		p.Fatal(err)
	}
	if err := os.Rename(p.conf+"~", p.conf); err != nil {
		p.Fatal(err)
	}
}

// site is the configuration of one that has an answer.
func site(answer string) string {
	return fmt.Sprintf("server { listen 80; location / { return 200 %q; } }\n", answer+"\n")
}

// waitFor waits until the site answers with want; "" is any answer.
func (p *project) waitFor(want string) {
	p.Helper()
	// A connection that is kept would stay with the worker that ran before.
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	for start := time.Now(); time.Since(start) < deadline; time.Sleep(100 * time.Millisecond) {
		response, err := client.Get(p.url)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		last = fmt.Sprintf("%q (%v)", body, err)
		if err == nil && (want == "" || string(body) == want) {
			return
		}
	}
	p.Fatalf("no answer %q within %v, the last one is %s", want, deadline, last)
}

func freeAddress(t *testing.T) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().(*net.TCPAddr)
}

// wantMetrics scrapes podsignal as Prometheus would.
func (p *project) wantMetrics(lines ...string) {
	p.Helper()
	response, err := http.Get(p.metrics)
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	for _, line := range lines {
		if !strings.Contains(string(page), line+"\n") {
			p.Errorf("no line %s in the metrics:\n%s", line, page)
		}
	}
}

// wantSignals waits until podsignal's log tells of want signals, and no more.
func (p *project) wantSignals(want int) {
	p.Helper()
	var got []string
	for start := time.Now(); len(got) < want && time.Since(start) < deadline; {
		got = nil
		for line := range strings.Lines(p.compose("logs", "--no-color", "podsignal")) {
			if strings.Contains(line, " msg=signalled ") {
				got = append(got, line)
			}
		}
	}
	if len(got) != want {
		p.Fatalf("%d signals, want %d:\n%s", len(got), want, strings.Join(got, ""))
	}
	for _, field := range []string{" level=INFO ", " process=nginx ", " signal=HUP "} {
		if !strings.Contains(got[want-1], field) {
			p.Errorf("no %q in the line %s", field, got[want-1])
		}
	}
}

// needDocker skips where nothing can be run in containers.
func needDocker(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds images, which takes a minute: run without -short")
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "version").CombinedOutput(); err != nil {
		t.Skipf("install Docker Engine, or start it: docker version: %v\n%s", err, out)
	}
}

// composeCommand returns the words that begin a command of Compose, v2 or v1.
func composeCommand(t *testing.T) []string {
	t.Helper()
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		version := slices.Concat(command, []string{"version"})
		if exec.CommandContext(t.Context(), version[0], version[1:]...).Run() == nil {
			return command
		}
	}
	t.Skip("install Docker Compose: the package docker-compose, or docker's plugin compose")
	return nil
}

// goproxy is this machine's GOPROXY=..., for the build's own download of modules.
func goproxy(t *testing.T) string {
	t.Helper()
	return "GOPROXY=" + strings.TrimSpace(run(t, nil, "go", "env", "GOPROXY"))
}

func inspect(t *testing.T, kind, name, format string) string {
	t.Helper()
	return strings.TrimSpace(run(t, nil, "docker", kind, "inspect", "--format", format, name))
}

// filesOf returns the files of a container that need not run, and when they changed;
// but not the empty ones, which Docker adds.
func filesOf(t *testing.T, container string) (map[string][]byte, map[string]time.Time) {
	t.Helper()
	files, changed := make(map[string][]byte), make(map[string]time.Time)
	archive := tar.NewReader(strings.NewReader(run(t, nil, "docker", "export", container)))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, changed
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Size == 0 {
			continue
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
		changed[header.Name] = header.ModTime
	}
}

// run runs a command with more environment and returns what it printed; if it
// fails, so does the test, with all its output.
func run(t *testing.T, env []string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// clean runs a command at the end of a test.
func clean(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}
