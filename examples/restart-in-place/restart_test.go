// Package restart_test runs the example without a cluster: the test plays the kubelet.
package restart_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/signal/podtest"
	"github.com/podsignal/podsignal/watcher/volumetest"
)

// deadline is for what must happen, on a machine that is busy.
const deadline = 30 * time.Second

// object has what the test needs of a ConfigMap and of a Deployment.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct {
				InitContainers []container `yaml:"initContainers"`
				Containers     []container
				Volumes        []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
	}
}

type container struct {
	Name    string
	Command []string
	Env     []struct{ Name, Value string }
	EnvFrom []struct {
		ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

func TestMain(m *testing.M) {
	podtest.DefaultSignals()
	m.Run()
}

func TestRestartInPlace(t *testing.T) {
	for _, test := range []struct {
		name    string
		restart time.Duration // what the kubelet takes to restart the container
		verify  string
		outcome string
	}{
		{"at once", 500 * time.Millisecond, "5s", "restarted"},
		{"after a back-off", 3 * time.Second, "1s", "ended"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config, app, env := manifest(t)
			volume := filepath.Join(t.TempDir(), "volume")
			write(t, volume, config)
			time.Sleep(50 * time.Millisecond) // a volume is there well before the container starts

			pod, err := podtest.New()
			check(t, err)
			t.Cleanup(pod.Close)
			// Without root, other processes of this machine are in it too.
			mark := fmt.Sprintf("test-%d-%s", os.Getpid(), test.outcome)
			k := &kubelet{pod: pod, command: append(slices.Clone(app.Command), mark), restart: test.restart, log: filepath.Join(t.TempDir(), "app.log")}
			k.provide(config)
			k.run(t)
			await(t, "the application's first greeting", func() bool { return k.greeted("hello") })

			env["CMDLINE"] += "(?s:.*) " + mark
			env["FILE"] = volume
			env["VERIFY"] = test.verify
			env["LOG_LEVEL"] = "debug"
			env["HOSTNAME"] = "restart-in-place-1" // its share of 30s is 1.08s
			log := start(t, pod, env)
			const hasRead = `msg="no reload needed: the process started after the change"`
			log.await(t, hasRead, 1)

			for i, greeting := range []string{"goodbye", "hello again"} {
				change := i + 1
				config["GREETING"] = greeting
				k.provide(config)
				write(t, volume, config)
				log.await(t, `level=INFO msg="waiting for this replica's share of SPLAY" .* splay=30s`, change)
				log.await(t, `msg=signalled .* signal=TERM`, change)
				await(t, "the greeting "+greeting, func() bool { return k.greeted(greeting) })
				log.await(t, `level=INFO msg="reload outcome" .* outcome=`+test.outcome, change)
				log.await(t, hasRead, change+1) // its successor
			}

			if ends := k.ends(); !slices.Equal(ends, []int{0, 0}) {
				t.Errorf("the application ended with %v, want twice with 0", ends)
			}
			if n := log.count("msg=signalled"); n != 2 {
				t.Errorf("%d signals, want one for each of 2 changes", n)
			}
			if log.count("level=(WARN|ERROR)") > 0 {
				t.Error("warned, though all went well")
			}
		})
	}
}

// manifest takes the example apart, and checks that its parts fit: the application's
// environment and podsignal's FILE come from the same ConfigMap, and both containers
// mount it, as podsignal signals no process that does not.
func manifest(t *testing.T) (config map[string]string, app container, env map[string]string) {
	t.Helper()
	objects := make(map[string]object)
	content, err := os.ReadFile("kubernetes.yaml")
	check(t, err)
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var o object
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
	pod := objects["Deployment"].Spec.Template.Spec
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 1 || len(pod.Volumes) != 1 {
		t.Fatalf("want one application, one podsignal and one volume, have %+v", pod)
	}
	app, name := pod.Containers[0], objects["ConfigMap"].Metadata.Name
	env = make(map[string]string)
	for _, v := range pod.InitContainers[0].Env {
		env[v.Name] = v.Value
	}
	for _, c := range []container{app, pod.InitContainers[0]} {
		if len(c.VolumeMounts) != 1 || c.VolumeMounts[0].Name != pod.Volumes[0].Name || c.VolumeMounts[0].MountPath != env["FILE"] {
			t.Errorf("container %s mounts %+v, want the volume at FILE=%s", c.Name, c.VolumeMounts, env["FILE"])
		}
	}
	if len(app.EnvFrom) != 1 || app.EnvFrom[0].ConfigMapRef.Name != name || pod.Volumes[0].ConfigMap.Name != name {
		t.Errorf("environment from %+v, volume from %+v, want both from %s", app.EnvFrom, pod.Volumes[0], name)
	}
	if regexp.MustCompile(env["CMDLINE"]).MatchString("sh -c echo $GREETING") {
		t.Errorf("CMDLINE=%s means shells that kubectl exec starts too", env["CMDLINE"])
	}
	return objects["ConfigMap"].Data, app, env
}

func write(t *testing.T, volume string, config map[string]string) {
	t.Helper()
	check(t, volumetest.Write(volume, config))
}

// A kubelet keeps one container running, and gives it the environment of its
// ConfigMap each time that it starts it.
type kubelet struct {
	pod     *podtest.Pod
	command []string
	restart time.Duration
	log     string // the file that the container prints to

	mu     sync.Mutex
	config map[string]string
	ended  []int // exit codes
}

func (k *kubelet) provide(config map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.config = maps.Clone(config)
}

func (k *kubelet) ends() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.ended)
}

// greeted tells whether the application has printed a greeting.
func (k *kubelet) greeted(greeting string) bool {
	printed, err := os.ReadFile(k.log)
	return err == nil && slices.Contains(strings.Split(string(printed), "\n"), greeting)
}

// run restarts the container until the test is over.
func (k *kubelet) run(t *testing.T) {
	log, err := os.Create(k.log)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			cmd := exec.Command(k.command[0], k.command[1:]...)
			cmd.Stdout, cmd.Stderr = log, log
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			k.mu.Lock()
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			for name, value := range k.config {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			k.mu.Unlock()
			if err := k.pod.Start(cmd); err != nil {
				t.Error(err)
				return
			}
			// What its first process leaves behind ends with a container.
			kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
			stop := context.AfterFunc(ctx, kill)
			_ = cmd.Wait() // no more than what ProcessState says
			stop()
			kill()
			k.mu.Lock()
			k.ended = append(k.ended, cmd.ProcessState.ExitCode())
			k.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(k.restart):
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		log.Close()
	})
}

// logFile is what podsignal logs.
type logFile string

// start builds and runs podsignal.
func start(t *testing.T, pod *podtest.Pod, env map[string]string) logFile {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "podsignal")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/podsignal").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "podsignal.log"))
	check(t, err)
	cmd := exec.Command(binary)
	cmd.Stderr = file
	cmd.Env = []string{} // nothing of this machine's
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	check(t, pod.Start(cmd))
	log := logFile(file.Name())
	t.Cleanup(func() {
		check(t, cmd.Process.Signal(syscall.SIGTERM))
		check(t, cmd.Wait())
		file.Close()
		if t.Failed() {
			t.Logf("podsignal's log:\n%s", log.read())
		}
	})
	return log
}

func (l logFile) read() string {
	content, err := os.ReadFile(string(l))
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// count is the number of lines that match an expression.
func (l logFile) count(expr string) int {
	return len(regexp.MustCompile(expr).FindAllString(l.read(), -1))
}

func (l logFile) await(t *testing.T, expr string, n int) {
	t.Helper()
	await(t, fmt.Sprintf("%d lines %s", n, expr), func() bool { return l.count(expr) >= n })
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
	if err != nil {
		t.Fatal(err)
	}
}
