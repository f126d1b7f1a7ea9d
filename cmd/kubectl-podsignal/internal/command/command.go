// Package command is the command line of the plugin.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/internal/build"
	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

// errNotLive follows output that has said why.
var errNotLive = errors.New("not all pods are live")

// Run runs the plugin, and returns its exit status: 0 if all pods that count are live, 1 if not or
// when it cannot go on, and 2 when its command line cannot be used.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = errors.New("interrupted: what was begun goes on in the pods")
	}
	if err != nil && !errors.Is(err, errNotLive) {
		fmt.Fprintln(streams.ErrOut, "error:", err)
	}
	_, ofUsage := errors.AsType[fleet.UsageError](err)
	switch {
	case ofUsage:
		return 2
	case err != nil:
		return 1
	}
	return 0
}

const about = `Tell whether a change of ConfigMaps and Secrets is live in all pods that have podsignal,
and make it so.

  kubectl podsignal status deployment/web     which pods run what the API has, and why others do not
  kubectl podsignal sync deployment/web       bring all pods up to date now, and wait until they are
  kubectl podsignal rollout deployment/web    the same in pods with HOLD, some at a time, and stop
                                              at the first that rejects it
  kubectl podsignal send deployment/web       notify the program in each pod, without a change
  kubectl podsignal digest -f manifests.yaml  the digests of ConfigMaps and Secrets

Exit codes: 0 if all pods that count are live, 1 if not, 2 for a wrong command line. Completed and
deleted pods, and pods without podsignal, do not count.`

func newRoot(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-podsignal",
		Long:          about,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl podsignal"},
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		// Of an unknown command, its flags are not what is wrong.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fleet.UsageError{Err: fmt.Errorf("unknown command %q: use status, sync, rollout, send, digest or version", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fleet.UsageError{Err: err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newStatus(streams), newSync(streams), newRollout(streams), newSend(streams), newDigest(streams), newVersion(streams))
	return root
}

func newVersion(streams genericiooptions.IOStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(streams.Out, build.Describe("kubectl-podsignal"))
			return err
		},
	}
}

// noArgs refuses what is not a flag.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fleet.UsageError{Err: fmt.Errorf("unknown argument %q: this command takes flags alone", args[0])}
	}
	return nil
}

// query adds the flags that say which pods are meant.
func query(cmd *cobra.Command) *fleet.Query {
	q := &fleet.Query{Flags: genericclioptions.NewConfigFlags(true)}
	q.Flags.AddFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&q.AllNamespaces, "all-namespaces", "A", false, "take the pods of all namespaces")
	cmd.Flags().StringVarP(&q.Selector, "selector", "l", "", "labels of the objects that are named, or else of the pods, such as app=web")
	return q
}

// output is what -o may be.
type output string

const (
	asTable output = ""
	asWide  output = "wide"
	asJSON  output = "json"
)

func (o *output) addFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP((*string)(o), "output", "o", "", "json or wide")
}

func (o *output) check() error {
	switch *o {
	case asTable, asWide, asJSON:
		return nil
	}
	return fleet.UsageError{Err: fmt.Errorf("-o=%q is not valid: use json or wide", *o)}
}

// result prints reports, and is errNotLive if not all that count are live.
func result(out io.Writer, all []*fleet.Report, namespaces bool, o output) error {
	summary := fleet.Summarize(all)
	if err := printReports(out, all, summary, namespaces, o); err != nil {
		return err
	}
	return verdict(summary)
}

// verdict is errNotLive if not all pods that count are live.
func verdict(summary fleet.Summary) error {
	switch {
	case summary.Counted == 0:
		return fleet.ErrNoPods
	case !summary.Live():
		return errNotLive
	}
	return nil
}
