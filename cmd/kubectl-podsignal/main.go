// Command kubectl-podsignal is a plugin of kubectl, which runs it as kubectl podsignal. It tells
// whether what is in ConfigMaps and Secrets is live in all pods that have podsignal, and makes it so.
//
// It exits with 0 if all that count are live, with 1 if not, or when it cannot go on, and with 2
// when its command line cannot be used.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that kubectl has
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/command"
)

func main() {
	klog.SetLogger(logr.Discard()) // what client-go tries again is no news
	rest.SetDefaultWarningHandler(rest.NewWarningWriter(os.Stderr, rest.WarningWriterOptions{Deduplicate: true}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // whoever interrupts it twice does not want to wait for a request
	status := command.Run(ctx, os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	stop()
	os.Exit(status)
}
