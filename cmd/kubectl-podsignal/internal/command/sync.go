package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

func newSync(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync [TYPE/NAME ...]",
		Short: "Bring all pods up to date now, and wait until they are",
		Long: `Bring all pods up to date now, and wait until each is live or has rejected what the API has.

The kubelet updates the volumes of a pod when the pod changes: sync sets the annotation
podsignal/synced-at of those that do not have what the API has at its start. If that changes
meanwhile, sync says so and ends with 1.`,
		Example: `  kubectl apply -f conf.yaml && kubectl podsignal sync deployment/web`,
	}
	bring(cmd, streams, func(ctx context.Context, f *fleet.Fleet, timeout time.Duration, show func(*fleet.Progress)) ([]*fleet.Report, error) {
		return f.Sync(ctx, timeout, show)
	})
	return cmd
}

func newRollout(streams genericiooptions.IOStreams) *cobra.Command {
	var o fleet.Rollout
	cmd := &cobra.Command{
		Use:   "rollout [TYPE/NAME ...]",
		Short: "Approve a change in some pods after the other, and stop at the first that rejects it",
		Long: `Approve what the API has in one pod, then in a quarter of the pods at a time, and stop at the first
that refuses it, in which it is invalid, that dies or becomes unready. The others keep what they run.

It is for pods with HOLD, in which a change waits until its digest is in the pod's annotation
podsignal/approved. Each pod is to be live, and to have stayed ready for 10 s, before the next are
approved. There is no undo: apply the old ConfigMap, and roll it out.`,
		Example: `  kubectl apply -f conf.yaml && kubectl podsignal rollout deployment/web
  kubectl podsignal rollout deployment/web --batch 5`,
	}
	cmd.Flags().IntVar(&o.Batch, "batch", 0, "pods at a time, from the first on (default 1, then a quarter)")
	cmd.Flags().BoolVar(&o.All, "approve-all", false, "approve in all pods at once")
	bring(cmd, streams, func(ctx context.Context, f *fleet.Fleet, timeout time.Duration, show func(*fleet.Progress)) ([]*fleet.Report, error) {
		o.Timeout = timeout
		return f.Rollout(ctx, o, show)
	})
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkBatch(cmd, o.Batch); err != nil {
			return err
		}
		if o.All && o.Batch > 0 {
			return fleet.UsageError{Err: errors.New("--batch and --approve-all exclude each other: use one of them")}
		}
		return run(cmd, args)
	}
	return cmd
}

// checkBatch refuses a size that is none.
func checkBatch(cmd *cobra.Command, size int) error {
	if cmd.Flags().Changed("batch") && size < 1 {
		return fleet.UsageError{Err: fmt.Errorf("--batch=%d is not valid: use a number of pods, such as 5", size)}
	}
	return nil
}

// bring makes a command of what has pods become live.
func bring(cmd *cobra.Command, streams genericiooptions.IOStreams, do func(context.Context, *fleet.Fleet, time.Duration, func(*fleet.Progress)) ([]*fleet.Report, error)) {
	var (
		o       output
		timeout time.Duration
	)
	q := query(cmd)
	o.addFlag(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long each pod may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.check(); err != nil {
			return err
		}
		if timeout <= 0 {
			return fleet.UsageError{Err: fmt.Errorf("--timeout=%v is not valid: use a duration such as 2m", timeout)}
		}
		q.Args = args
		f, err := fleet.New(cmd.Context(), q)
		if err != nil {
			return err
		}
		v := newView(streams.Out, q.AllNamespaces, o)
		all, err := do(cmd.Context(), f, timeout, v.show)
		v.end()
		note(streams, f, all)
		if _, stopped := errors.AsType[*fleet.StoppedError](err); stopped {
			if failed := v.result(all); failed != nil && !errors.Is(failed, errNotLive) {
				return failed
			}
			return err
		}
		if err != nil {
			if len(all) > 0 && o != asJSON {
				fmt.Fprintln(streams.Out, fleet.Summarize(all))
			}
			return err
		}
		return v.result(all)
	}
}
