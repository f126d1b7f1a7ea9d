package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/volume"
)

func newDigest(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "digest -f FILE",
		Short: "Print the digests of ConfigMaps and Secrets",
		Long: `Print the digests of the ConfigMaps and Secrets in manifests, as volumes of them have it without
items and without EXCLUDE: podsignal status --json has it in paths, and so has the annotation
podsignal/approved. Nothing is asked of an API server.`,
		Example: `  kubectl podsignal digest -f conf.yaml
  kubectl kustomize . | kubectl podsignal digest -f -`,
		Args: noArgs,
	}
	files := genericclioptions.NewResourceBuilderFlags().WithFile(false).FileNameFlags
	files.AddFlags(cmd.Flags())
	cmd.RunE = func(*cobra.Command, []string) error {
		options := files.ToOptions()
		if err := options.RequireFilenameOrKustomize(); err != nil {
			return fleet.UsageError{Err: fmt.Errorf("%w: use -f FILE, or -f - for standard input", err)}
		}
		return printDigests(streams, &options)
	}
	return cmd
}

func printDigests(streams genericiooptions.IOStreams, options *resource.FilenameOptions) error {
	found := false
	err := resource.NewLocalBuilder().Unstructured().FilenameParam(false, options).Flatten().Do().
		Visit(func(info *resource.Info, err error) error {
			if err != nil {
				return err
			}
			digest, err := digestOf(info.Object)
			if err != nil {
				return fmt.Errorf("%s: %w", info.ObjectName(), err)
			}
			if digest == "" {
				return nil
			}
			found = true
			_, err = fmt.Fprintf(streams.Out, "%s  %s\n", digest, info.ObjectName())
			return err
		})
	if err == nil && !found {
		err = fleet.UsageError{Err: errors.New("there is no ConfigMap or Secret in it: use -f with their manifests")}
	}
	return err
}

// digestOf is empty for what is no ConfigMap or Secret.
func digestOf(object runtime.Object) (string, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return "", err
	}
	switch kind := object.GetObjectKind().GroupVersionKind(); kind.String() {
	case "/v1, Kind=ConfigMap":
		var m corev1.ConfigMap
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &m)
		return volume.DigestOfConfigMap(&m), err
	case "/v1, Kind=Secret":
		var s corev1.Secret
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &s)
		return volume.DigestOfSecret(&s), err
	}
	return "", nil
}
