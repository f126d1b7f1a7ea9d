// Package command is the command line of the plugin.
package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/internal/build"
)

// usageError is an error of the command line.
type usageError struct{ error }

// errNotLive follows output that has said why.
var errNotLive = errors.New("not all are live")

// Run runs the plugin, and returns its exit status: 0 if all that count are live, 1 if not or when
// it cannot go on, and 2 when its command line cannot be used.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errNotLive) {
		fmt.Fprintln(streams.ErrOut, "error:", err)
	}
	_, ofUsage := errors.AsType[usageError](err)
	switch {
	case ofUsage:
		return 2
	case err != nil:
		return 1
	}
	return 0
}

func newRoot(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-podsignal",
		Short:         "Tell whether a change of ConfigMaps and Secrets is live in all pods, and make it so",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl podsignal"},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newVersion(streams))
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
		return usageError{fmt.Errorf("unknown argument %q: this command takes flags alone", args[0])}
	}
	return nil
}
