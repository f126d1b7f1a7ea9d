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
	var p pass
	for _, w := range all {
		p.change(w, opts)
	}
	switch {
	case p.asked == 0 && opts.asks():
		return nil, errors.New("no workload on standard input: podsignal is added to Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job and CronJob")
	case p.asked == 0 && opts.isPartial():
		return nil, UsageError{errors.New("--process is required, or the annotation podsignal/process on a workload: the command name, such as nginx")}
	case p.changed == 0:
		p.errs = append(p.errs, p.withoutVolume...)
	}
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return append(p.remarks, imageRemarks(p.images)...), nil
}

// A pass over all workloads.
type pass struct {
	asked, changed int
	errs           []error
	withoutVolume  []error // that matter if nothing is changed
	remarks        []string
	images         []string // that podsignal has got
}

// change adds podsignal to a workload, if anything asks for it.
func (p *pass) change(w workload, opts options) {
	remark := func(s string) { p.remarks = append(p.remarks, w.called(s)) }
	a := w.annotated()
	asks := a != nil || w.isKnown && opts.asks()
	for _, s := range w.unheeded(asks) {
		remark(s)
	}
	switch {
	case !asks:
		return
	case !w.isKnown && !w.hasPod():
		remark(fmt.Sprintf("not changed: it has %s, but no pod at %s", a.Key(), strings.Join(w.pod, ".")))
		return
	}
	p.asked++
	said, err := w.change(opts)
	for _, s := range said {
		remark(s)
	}
	if err == nil {
		p.changed++
		p.images = append(p.images, w.newImage())
		return
	}
	named := fmt.Errorf("%s: %w", w.name, err)
	switch {
	case isA[unchanged](err):
		remark("not changed: " + err.Error())
	case isA[errNoVolume](err) && a == nil:
		remark("not changed: " + err.Error())
		p.withoutVolume = append(p.withoutVolume, named)
	case isA[UsageError](err):
		p.errs = append(p.errs, err) // it has the name
	default:
		p.errs = append(p.errs, named)
	}
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
	switch {
	case err != nil:
		return nil, err
	case !want.asks():
		return nil, unchanged{errors.New("--env unsets what asks for podsignal")}
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
