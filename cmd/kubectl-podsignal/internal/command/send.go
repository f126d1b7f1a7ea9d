package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

func newSend(streams genericiooptions.IOStreams) *cobra.Command {
	var (
		signal, rule string
		unapproved   bool
		batch        int
	)
	cmd := &cobra.Command{
		Use:   "send TYPE/NAME ...",
		Short: "Notify the program in each pod now, without a change",
		Long: `Run podsignal send in each pod: in one, then in a quarter of the pods at a time. It stops at the
first that fails. Exit codes: 0 if all programs were notified, 1 if not, 2 for a wrong command line.`,
		Example: `  kubectl podsignal send deployment/web
  kubectl podsignal send deployment/web --signal USR1   # after the rotation of its log`,
	}
	q := query(cmd)
	flags := cmd.Flags()
	flags.StringVar(&signal, "signal", "", "signal to send (default that of podsignal's SIGNAL)")
	flags.StringVar(&rule, "rule", "", "name of the rule, with RULES")
	flags.BoolVar(&unapproved, "unapproved", false, "send although HOLD does not approve what is on disk")
	flags.IntVar(&batch, "batch", 0, "pods at a time, from the first on (default 1, then a quarter)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && q.Selector == "" {
			return fleet.UsageError{Err: errors.New("it is not said which pods are meant: use TYPE/NAME, such as deployment/web, or -l")}
		}
		if err := checkBatch(cmd, batch); err != nil {
			return err
		}
		var options []string
		if signal != "" {
			options = append(options, "--signal", signal)
		}
		if rule != "" {
			options = append(options, "--rule", rule)
		}
		if unapproved {
			options = append(options, "--unapproved")
		}
		q.Args = args
		f, err := fleet.New(cmd.Context(), q)
		if err != nil {
			return err
		}
		return f.Send(cmd.Context(), batch, options, func(s fleet.Sent) {
			pod := name(&fleet.Report{Pod: s.Pod}, q.AllNamespaces)
			if s.Skipped != "" {
				fmt.Fprintf(streams.Out, "%s: %s\n", pod, s.Skipped)
			}
			for line := range strings.Lines(s.Output) {
				fmt.Fprintf(streams.Out, "%s: %s\n", pod, printers.EscapeTerminal(strings.TrimSpace(line)))
			}
		})
	}
	return cmd
}
