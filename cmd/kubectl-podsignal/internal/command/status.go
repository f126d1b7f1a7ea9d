package command

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

func newStatus(streams genericiooptions.IOStreams) *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:   "status [TYPE/NAME ...]",
		Short: "Tell which pods run what the API has, and why others do not",
		Long: `Tell which pods run what the API has, and why others do not: a row for each pod and rule.

ON DISK, RUNNING and WANTED are digests: of the files in the pod, of what the program runs as far
as the evidence goes, and of what the API has. Those of paths that show a Secret cannot be compared
between pods; WANTED is then the one that is on disk, or "changed".`,
		Example: `  kubectl podsignal status deployment/web
  kubectl podsignal status -A -l app=web
  kubectl podsignal status -o json | jq -r '.pods[] | select(.verdict == "refused") | .pod'`,
	}
	q := query(cmd)
	o.addFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		q.Args = args
		f, err := fleet.New(cmd.Context(), q)
		if err != nil {
			return err
		}
		all, err := f.Status(cmd.Context())
		if err != nil {
			return err
		}
		note(streams, f, all)
		return result(streams.Out, all, q.AllNamespaces, o)
	}
	return cmd
}

// note says what could not be read, and what is not compared.
func note(streams genericiooptions.IOStreams, f *fleet.Fleet, all []*fleet.Report) {
	for _, why := range f.Unreadable() {
		fmt.Fprintf(streams.ErrOut, "note: the pods are compared with each other: %s\n", why)
	}
	for _, why := range fleet.LeftOut(all) {
		fmt.Fprintf(streams.ErrOut, "note: it is not known whether this is up to date: %s\n", why)
	}
}
