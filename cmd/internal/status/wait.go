package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/deliver"
)

const (
	// waitWithin is how long to wait for a digest if nothing else is said.
	waitWithin = 30 * time.Second

	// lookEvery is how often to look meanwhile.
	lookEvery = 100 * time.Millisecond

	// shownDigits are those of a digest that the log and the tables have.
	shownDigits = 12
)

// A Wait is for a digest to run, or to be rejected.
type Wait struct {
	digest string // lower case; some of its digits, the first 12 at least
	within time.Duration
}

// ParseWait reads DIGEST or DIGEST=DURATION.
func ParseWait(value string) (Wait, error) {
	digest, within, given := strings.Cut(value, "=")
	w := Wait{strings.ToLower(digest), waitWithin}
	if strings.Trim(w.digest, "0123456789abcdef") != "" || len(w.digest) < shownDigits || len(w.digest) > 64 {
		return Wait{}, fmt.Errorf("%q is not a digest: use 12 to 64 hexadecimal digits, as podsignal status and its --json have them", digest)
	}
	if given {
		d, err := time.ParseDuration(within)
		if err != nil || d < 0 {
			return Wait{}, fmt.Errorf("%q is not a valid duration: use a number with a unit, such as 30s or 2m", within)
		}
		w.within = d
	}
	return w, nil
}

// Run waits, and says what has become of the digest. The error is nil if all targets run it,
// ErrNotInSync if one has rejected it or the time is over, and ErrNoSidecar if no podsignal runs
// in this container.
func (w Wait) Run(ctx context.Context, out io.Writer) error {
	limited, cancel := context.WithTimeout(ctx, w.within)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		all, err := Read()
		if err != nil {
			return err
		}
		runs, rejections := w.look(all)
		switch {
		case len(rejections) > 0:
			return errors.Join(ErrNotInSync, say(out, "FAIL", rejections))
		case runs:
			return say(out, "ok", []string{fmt.Sprintf("digest %s is running", w.digest)})
		}
		select {
		case <-tick.C:
			continue
		case <-limited.Done():
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return errors.Join(ErrNotInSync, say(out, "FAIL", w.late(all)))
	}
}

func say(out io.Writer, level string, lines []string) (err error) {
	for _, line := range lines {
		_, e := fmt.Fprintf(out, "%s: %s\n", level, line)
		err = cmp.Or(err, e)
	}
	return err
}

// look tells whether all targets of all rules that have the digest run it, and who has rejected
// it.
func (w Wait) look(all []Document) (runs bool, rejections []string) {
	known, waiting := false, false
	for _, d := range all {
		label, onDisk := w.label(&d)
		runsIt := func(t deliver.TargetStatus) bool { return t.Running != nil && t.Running.Digest == label }
		rejects := func(r *deliver.Rejection) bool { return r != nil && r.Digest.Digest == label }
		if rejects(d.Rejected) || slices.ContainsFunc(d.Targets, func(t deliver.TargetStatus) bool { return rejects(t.Rejected) }) {
			for _, r := range d.Rejects() {
				rejections = append(rejections, config.InRule(d.Rule, errors.New(r)).Error())
			}
			continue
		}
		running := len(d.Targets) > 0 && !slices.ContainsFunc(d.Targets, func(t deliver.TargetStatus) bool { return !runsIt(t) })
		known = known || running || onDisk
		waiting = waiting || onDisk && !running
	}
	return known && !waiting, rejections
}

// label is the digest as a rule shows it, which is that of all its paths, and whether it is on
// disk.
func (w Wait) label(d *Document) (label string, onDisk bool) {
	if d.OnDisk == nil {
		return w.digest[:shownDigits], false
	}
	for _, p := range d.Paths {
		if strings.HasPrefix(p.Digest, w.digest) {
			return d.OnDisk.Digest, true
		}
	}
	label = w.digest[:shownDigits]
	return label, label == d.OnDisk.Digest
}

// late says why the digest is not running when the time is over.
func (w Wait) late(all []Document) (why []string) {
	onDisk := func(d Document) bool { _, is := w.label(&d); return is }
	if !slices.ContainsFunc(all, onDisk) {
		return []string{fmt.Sprintf("digest %s is not on disk after %v: see podsignal status --json", w.digest, w.within)}
	}
	why = problems(slices.DeleteFunc(slices.Clone(all), func(d Document) bool { return !onDisk(d) }), time.Now())
	if why == nil {
		why = held(all)
	}
	if why == nil {
		why = []string{"nothing tells that it runs: see podsignal status; if there is nothing to be seen of a reload, set EXPECT=none"}
	}
	for i := range why {
		why[i] = fmt.Sprintf("digest %s is not running after %v: %s", w.digest, w.within, why[i])
	}
	return why
}
