package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// stall FILE makes a FIFO that is full, and that is held open until the script ends, but
// read by nobody.
func stallCommand(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	ts.Check(unix.Mkfifo(path, 0o600))
	held, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	ts.Check(err)
	ts.Defer(func() { _ = unix.Close(held) })
	for err == nil {
		_, err = unix.Write(held, []byte(strings.Repeat("\n", 4096))) // or not at all, see pipe(7)
	}
	if err != unix.EAGAIN { //nolint:errorlint // an errno
		ts.Fatalf("filling %s: %v", path, err)
	}
}

// hang DIR mounts a file system there whose server never answers, until the script ends
// (fuse(4)).
func hangCommand(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	ts.Check(err)
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)
	ts.Check(unix.Mount("podsignal-test", dir, "fuse", 0, options))
	ts.Defer(func() {
		_ = unix.Close(server) // whoever waits for an answer gets an error
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	})
}

// each DIR FROM TO writes the numbers from FROM to TO into the volume, one after the
// other, each when the one before has been signalled.
func eachCommand(ts *testscript.TestScript, _ bool, args []string) {
	var from, to int
	_, err := fmt.Sscan(strings.Join(args[1:], " "), &from, &to)
	ts.Check(err)
	for i := from; i <= to; i++ {
		ts.Check(volumetest.Write(ts.MkAbs(args[0]), volumetest.Files{"key": fmt.Sprintln(i)}))
		await(ts, fmt.Sprint("the signal for ", i), func() bool {
			got, _ := os.ReadFile(ts.MkAbs("got"))
			return strings.HasSuffix(string(got), fmt.Sprintf("HUP %d\n", i))
		})
	}
}
