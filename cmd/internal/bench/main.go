// Bench compares podsignal with the least that could do its work, and with the shell
// loops that people use, side by side in one run. README.md says how to read it.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed c
var sources embed.FS

// bench is what all runs share.
type bench struct {
	podsignal string
	before    string // an earlier podsignal, to be compared; empty: none
	samples   string // where to write single measurements; empty: nowhere
	dir       string // with the programs, and a folder for each pod
	listen    string // a free address
	crowded   string // another
	out       io.Writer

	swaps, burst int
	idle         time.Duration
	processes    []int
}

func main() {
	b := &bench{out: os.Stdout}
	flag.StringVar(&b.podsignal, "podsignal", "bin/podsignal", "`path` of podsignal")
	flag.StringVar(&b.before, "before", "", "`path` of an earlier podsignal, to be measured beside it")
	flag.StringVar(&b.samples, "samples", "", "`file` for each swap's measurements, in the format of Go's benchmarks")
	flag.IntVar(&b.swaps, "swaps", 100, "`number` of swaps in each run")
	flag.IntVar(&b.burst, "burst", 500, "`number` of swaps at full speed")
	flag.DurationVar(&b.idle, "idle", time.Minute, "how `long` to watch them idle")
	processes := flag.String("processes", "90,5,2000", "`numbers` of visible processes, comma-separated; all that is not a latency is measured with the first")
	growth := flag.Bool("growth", false, "measure how podsignal grows instead")
	flag.Parse()

	// The kernel sends Pdeathsig when the thread that started a child ends, not the
	// process: the pods are started from this one.
	runtime.LockOSThread()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := b.run(ctx, *processes, *growth)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, processes string, growth bool) (err error) {
	for field := range strings.SplitSeq(processes, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("-processes: %w", err)
		}
		b.processes = append(b.processes, n)
	}
	if b.swaps < 1 || b.burst < 1 {
		return errors.New("-swaps and -burst must be 1 or more")
	}
	if os.Geteuid() != 0 {
		return errors.New("it makes PID namespaces, for which it must be run as root: use sudo")
	}
	for _, tool := range []string{"cc", "inotifywait", "pgrep"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w (Debian: apt-get install gcc libc6-dev inotify-tools procps)", err)
		}
	}
	for _, path := range []*string{&b.podsignal, &b.before} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "podsignal-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.compile(); err != nil {
		return err
	}
	if b.listen, err = freeAddress(); err != nil {
		return err
	}
	if b.crowded, err = freeAddress(); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%s\n", machine())
	if growth {
		return b.growth(ctx)
	}
	return b.compare(ctx)
}

// compile makes the programs that are in C.
func (b *bench) compile() error {
	if err := os.CopyFS(b.dir, sources); err != nil {
		return err
	}
	for _, name := range []string{"pause", "target", "floor"} {
		out, err := exec.Command("cc", "-O2", "-o", b.tool(name), filepath.Join(b.dir, "c", name+".c")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("compiling %s.c: %w\n%s", name, err, out)
		}
	}
	return nil
}

// tool is the path of a program that compile has made.
func (b *bench) tool(name string) string { return filepath.Join(b.dir, name) }

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
