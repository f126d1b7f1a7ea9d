// Package inject adds podsignal to the pods of Kubernetes manifests.
//
// A manifest is read as a tree of nodes, and the tree is changed; but what is printed
// is the manifest's own text with only the changes spliced into it, so that all else
// stays as it was, byte for byte: comments, order, quotes, indentation. YAML stays YAML
// and JSON stays JSON, indented as it was.
package inject

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A UsageError is an error of the command line or of an annotation, not of a manifest.
type UsageError struct{ error }

const usage = `podsignal inject adds podsignal to the pods of the manifests on standard input, or
updates the one that is there, and prints them. Everything else stays as it was:

  kubectl get deploy web -o yaml | podsignal inject --process nginx | kubectl apply -f -

It reads YAML or JSON, several documents and lists, and changes Pod, Deployment,
StatefulSet, DaemonSet, ReplicaSet, Job and CronJob. Other kinds pass through.

FLAG         ANNOTATION         MEANING
--process    podsignal/process  name of the process to signal
--signal     podsignal/signal   signal to send; unset: the one that a known program
                                reloads on, else HUP
--volume     podsignal/volume   volumes to watch, comma-separated; unset: all ConfigMap,
                                Secret, projected and CSI volumes that the program mounts
--validate   podsignal/validate command that must succeed before a change is sent, such
                                as "nginx -t -q": podsignal then runs in the program's
                                image, with all that the program's container has
--container                     the program's container, where several mount the volumes
--image                         podsignal's image; unset: that of a podsignal that is
                                there, else podsignal:%s

A flag is for all workloads in the input, and wins over an annotation of the workload,
which wins over one of its pod template. Without --process only workloads with
the annotation get podsignal.

podsignal gets the uid of the program's container, since that alone permits the signal.
Where the manifest names none, a note on standard error says that root is assumed.
Exit codes: 1 for a manifest that cannot be used, 2 for a wrong flag or annotation;
nothing is printed then.
`

// options are the flags.
type options struct {
	process, signal, volumes, validate, container, image string
	version                                              string
}

// Run is the subcommand: it reads all of in, and writes it to out with podsignal added.
// After an error nothing has been written, unless out itself failed. Notes on what was
// assumed go to notes, a line each. version is podsignal's, for the name of its image.
func Run(args []string, version string, in io.Reader, out, notes io.Writer) error {
	opts := options{version: version}
	flags := flag.NewFlagSet("inject", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	flags.StringVar(&opts.process, "process", "", "")
	flags.StringVar(&opts.signal, "signal", "", "")
	flags.StringVar(&opts.validate, "validate", "", "")
	flags.StringVar(&opts.container, "container", "", "")
	flags.StringVar(&opts.image, "image", "", "")
	flags.Func("volume", "", func(value string) error {
		opts.volumes += "," + value
		return nil
	})
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err = fmt.Fprintf(out, usage, version)
		return err
	case err != nil:
		return UsageError{fmt.Errorf("%w: see podsignal inject --help", err)}
	case flags.NArg() > 0:
		return UsageError{fmt.Errorf("unknown arguments %q: podsignal inject reads manifests from its standard input, see podsignal inject --help", strings.Join(flags.Args(), " "))}
	}

	src, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	result, remarks, err := inject(src, opts)
	if err != nil {
		return err
	}
	for _, remark := range remarks {
		fmt.Fprintln(notes, "podsignal:", remark)
	}
	_, err = out.Write(result)
	return err
}

// byteOrderMark begins some files of UTF-8.
var byteOrderMark = []byte("\ufeff")

// inject returns the manifests in src with podsignal added, and what was assumed.
func inject(src []byte, opts options) (result []byte, remarks []string, err error) {
	body, marked := bytes.CutPrefix(src, byteOrderMark)
	switch {
	case bytes.HasPrefix(src, []byte("\xff\xfe")), bytes.HasPrefix(src, []byte("\xfe\xff")):
		return nil, nil, errors.New("standard input is UTF-16: use UTF-8")
	case len(bytes.TrimSpace(body)) == 0:
		return nil, nil, errors.New("standard input is empty: pipe manifests into it, such as those of kubectl get deploy web -o yaml")
	}
	old, err := parse(body)
	if err != nil {
		return nil, nil, fmt.Errorf("reading standard input: %w", err)
	}
	docs, err := parse(body) // to be changed; equal positions tell what is the same node
	if err != nil {
		return nil, nil, err
	}

	var all []workload
	for _, doc := range docs {
		all = append(all, workloads(doc)...)
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no workload on standard input: podsignal is added to Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job and CronJob")
	}
	asked := 0
	var errs []error
	for _, w := range all {
		want, err := w.settings(opts)
		switch {
		case err != nil:
			errs = append(errs, err)
		case want.process == "":
			continue
		default:
			said, err := w.inject(want)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
			}
			for _, s := range said {
				remarks = append(remarks, w.name+": "+s)
			}
		}
		asked++
	}
	if asked == 0 {
		return nil, nil, UsageError{errors.New("--process is required, or the annotation podsignal/process on a workload: the command name, such as nginx")}
	}
	if len(errs) > 0 {
		return nil, nil, errors.Join(errs...)
	}

	result, err = splice(body, old, docs)
	if err != nil {
		return nil, nil, err
	}
	if marked {
		result = append(bytes.Clone(byteOrderMark), result...)
	}
	return result, remarks, nil
}

// parse returns the documents in src. Errors have the line.
func parse(src []byte) (docs []*yaml.Node, err error) {
	// The parser has panics of its own, for what it thinks cannot happen.
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	for {
		doc := new(yaml.Node)
		if err := decoder.Decode(doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
}
