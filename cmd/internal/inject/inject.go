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
	"fmt"
	"io"
	"slices"
	"strings"
)

// Run is the subcommand: it reads all of in, and writes it to out with podsignal added.
// After an error nothing has been written, unless out itself failed. Notes on what was
// assumed go to notes, a line each. version is podsignal's, for the name of its image.
func Run(args []string, version string, in io.Reader, out, notes io.Writer) error {
	opts, help, err := parseFlags(args, version)
	switch {
	case err != nil:
		return err
	case help:
		_, err = fmt.Fprintf(out, usage, version)
		return err
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

// inject returns the manifests in src with podsignal added, and what was assumed.
func inject(src []byte, opts options) (result []byte, remarks []string, err error) {
	body, marked := bytes.CutPrefix(src, byteOrderMark)
	switch {
	case bytes.HasPrefix(src, []byte("\xff\xfe")), bytes.HasPrefix(src, []byte("\xfe\xff")):
		return nil, nil, errors.New("standard input is UTF-16: use UTF-8")
	case len(bytes.TrimSpace(body)) > 0:
	case !opts.asks() && !opts.isPartial():
		return src, nil, nil
	default:
		return nil, nil, errors.New("standard input is empty: pipe manifests into it, such as those of kubectl get deploy web -o yaml")
	}
	old, err := readInput(body)
	if err != nil {
		return nil, nil, err
	}
	docs, err := parse(body) // to be changed; equal positions tell what is the same node
	if err != nil {
		return nil, nil, err
	}
	var all []workload
	for _, doc := range docs {
		all = append(all, workloads(doc)...)
	}
	change := changeAll
	if opts.remove {
		change = removeAll
	}
	if remarks, err = change(all, opts); err != nil {
		return nil, nil, err
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

// An unchanged is why a workload stays as it is, although podsignal is asked for.
type unchanged struct{ error }

// errNoVolume is unchanged where the flags ask: they do for all workloads, of which another may
// be the one that is meant.
type errNoVolume struct{ error }

// changeAll adds podsignal to those that ask for it, or that the flags ask for.
func changeAll(all []workload, opts options) (remarks []string, err error) {
	asked, changed := 0, 0
	var errs, without []error
	var images []string
	for _, w := range all {
		a := w.annotated()
		asks := a != nil || w.isKnown && opts.asks()
		said := w.unheeded(asks)
		if asks && !w.isKnown && !w.hasPod() {
			said = append(said, fmt.Sprintf("not changed: it has %s, but no pod at %s", a.Key(), strings.Join(w.pod, ".")))
			asks = false
		}
		if asks {
			asked++
			more, err := w.change(opts)
			said = append(said, more...)
			switch {
			case err == nil:
				changed++
				images = append(images, w.newImage())
			case isA[unchanged](err):
				said = append(said, "not changed: "+err.Error())
			case isA[errNoVolume](err) && a == nil:
				without = append(without, fmt.Errorf("%s: %w", w.name, err))
			case isA[UsageError](err):
				errs = append(errs, err)
			default:
				errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
			}
		}
		for _, s := range said {
			remarks = append(remarks, w.called(s))
		}
	}
	switch {
	case asked == 0 && opts.asks():
		return nil, errors.New("no workload on standard input: podsignal is added to Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job and CronJob")
	case asked == 0 && opts.isPartial():
		return nil, UsageError{errors.New("--process is required, or the annotation podsignal/process on a workload: the command name, such as nginx")}
	case changed == 0:
		errs = append(errs, without...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, err := range without {
		remarks = append(remarks, "not changed: "+err.Error())
	}
	return append(remarks, imageRemarks(images)...), nil
}

func isA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

// called is a remark about the workload. One that says that it is not changed is more than
// about its content, and tells its apiVersion too.
func (w workload) called(remark string) string {
	if version := text(w.object, "apiVersion"); strings.HasPrefix(remark, "not changed") && version != "" {
		return fmt.Sprintf("%s (%s): %s", w.name, version, remark)
	}
	return w.name + ": " + remark
}

// change adds podsignal, and returns what it assumed.
func (w workload) change(opts options) (remarks []string, err error) {
	if err := duplicates(w.object); err != nil {
		return nil, err
	}
	want, err := w.settings(opts)
	if err != nil {
		return nil, err
	}
	return w.inject(want)
}

// imageRemarks say which of the images that podsignal has got are in no registry.
func imageRemarks(images []string) (remarks []string) {
	slices.Sort(images)
	for _, image := range slices.Compact(images) {
		host, _, found := strings.Cut(image, "/")
		if image != "" && (!found || !strings.ContainsAny(host, ".:") && host != "localhost") {
			remarks = append(remarks, fmt.Sprintf("the image %s names no registry: unless the nodes have it, set podsignal/image, or --image, to one that they can pull", image))
		}
	}
	return remarks
}
