// Demo shows podsignal at work on one machine, without a cluster: it writes a
// ConfigMap volume as the kubelet does, starts nginx (or the greeter, where nginx
// is not installed) and podsignal beside it, swaps the volume three times, and
// tells what a client saw. Everything is in a temporary folder and ends with it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	podsignal := flag.String("podsignal", "bin/podsignal", "`path` of podsignal")
	greeter := flag.String("greeter", "bin/greeter", "`path` of the greeter, which serves where nginx does not")
	nginx := flag.String("nginx", installedNginx(), "`path` of nginx; empty: use the greeter")
	flag.Parse()

	// The kernel sends Pdeathsig when the thread that started a child ends, not
	// the process: everything is started from this one.
	runtime.LockOSThread()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, *podsignal, *greeter, *nginx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// installedNginx is empty where there is none. Debian puts nginx into a folder
// that an ordinary user's PATH lacks.
func installedNginx() string {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
