package daemons_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/podtest"
)

// podRoot is set, for the processes of a pod, to a folder where it may build its files.
const podRoot = "POD_ROOT"

// container is podsignal's root in a pod: its program, /proc and the volume.
const container = "/podsignal"

func TestMain(m *testing.M) {
	if root := os.Getenv(podRoot); root != "" && os.Getpid() == 1 {
		status, err := pause(root)
		if err != nil {
			fmt.Fprintln(os.Stderr, "pod:", err)
			status = 1
		}
		os.Exit(status)
	}
	podtest.DefaultSignals()
	os.Exit(m.Run())
}

// inPod runs the test again in a pod of its own, and reports what becomes of it there;
// in the pod it returns true. A pod has its own processes, mounts, network (loopback
// alone) and System V IPC; it sees the machine's files, and writes to none of them.
func inPod(t *testing.T, podsignal string) bool {
	t.Helper()
	if os.Getenv(podRoot) != "" {
		return true
	}
	var names []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		names = append(names, "^"+regexp.QuoteMeta(name)+"$")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.run="+strings.Join(names, "/"))
	cmd.Env = append(os.Environ(), podRoot+"="+t.TempDir(), "PODSIGNAL="+podsignal)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("in the pod: %v", err)
	} else if !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Error("the test did not run in the pod")
	}
	return false
}

// pause is the first process of a pod: it makes the pod, runs the test in it, and
// takes in the processes that have lost their parents, as Kubernetes' pause does.
func pause(dir string) (status int, err error) {
	here, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	root := filepath.Join(dir, "root")
	if err := inTurn(
		furnish(dir, root, filepath.Dir(here)),
		loopbackUp,
		func() error { return unix.Chroot(root) },
		func() error { return os.Chdir(here) },
	); err != nil {
		return 0, err
	}
	test := exec.Command("/proc/self/exe", os.Args[1:]...)
	test.Stdout, test.Stderr = os.Stdout, os.Stderr
	if err := test.Start(); err != nil {
		return 0, err
	}
	for {
		var ws unix.WaitStatus
		switch pid, err := unix.Wait4(-1, &ws, 0, nil); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case pid == test.Process.Pid:
			if ws.Signaled() {
				return 0, fmt.Errorf("the test ended by %v", ws.Signal())
			}
			return ws.ExitStatus(), nil
		}
	}
}

// furnish makes root show the machine's files, with what is written to them kept in
// memory, and adds podsignal's container.
func furnish(dir, root, examples string) func() error {
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	in := func(path string) string { return filepath.Join(root, path) }
	steps := []func() error{
		mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		mount("tmpfs", dir, "tmpfs", 0, "mode=0755"),
		folders(root, upper, work),
		mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)),
		mount("proc", in("/proc"), "proc", 0, ""),
		mount("/dev", in("/dev"), "", unix.MS_BIND|unix.MS_REC, ""),
		mount("tmpfs", in("/dev/shm"), "tmpfs", 0, "mode=1777"),
		mount("tmpfs", in("/run"), "tmpfs", 0, "mode=0755"),
		mount("tmpfs", in("/tmp"), "tmpfs", 0, "mode=1777"),
		// A checkout that is a mount of its own would not be seen.
		folders(in(examples)),
		mount(examples, in(examples), "", unix.MS_BIND, ""),
		folders(in(container), in(container+"/proc")),
		func() error { return os.CopyFS(in(container+"/bin"), os.DirFS(filepath.Dir(os.Getenv("PODSIGNAL")))) },
		mount("proc", in(container+"/proc"), "proc", 0, ""),
	}
	return func() error { return inTurn(steps...) }
}

func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func mount(source, target, fstype string, flags uintptr, data string) func() error {
	return func() error {
		if err := unix.Mount(source, target, fstype, flags, data); err != nil {
			return fmt.Errorf("mounting %q at %s: %w", source, target, err)
		}
		return nil
	}
}

func folders(paths ...string) func() error {
	return func() error {
		var errs []error
		for _, path := range paths {
			errs = append(errs, os.MkdirAll(path, 0o755))
		}
		return errors.Join(errs...)
	}
}

// loopbackUp makes 127.0.0.1 work: a new network has it, but down.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
