package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// shownDigits are those of a digest in tables, as in podsignal's log.
const shownDigits = 12

// OnDisk is the digest of what is on disk, as the pod's log has it; empty: it is not known yet.
func (r *Rule) OnDisk() string {
	if r.Status.OnDisk == nil {
		return ""
	}
	return r.Status.OnDisk.Digest
}

// Running is the digest that the targets run, as the pod's log has it; empty: it is not known.
func (r *Rule) Running() string {
	running := ""
	for i, t := range r.Status.Targets {
		is := ""
		if t.Running != nil {
			is = t.Running.Digest
		}
		if i > 0 && is != running {
			return "mixed"
		}
		running = is
	}
	return running
}

// Wanted is the digest that OnDisk is to be. If a path shows a Secret, which may be guessed from its
// digest, another one is "changed". It is empty if nothing is to be there, or nothing is known.
func (r *Rule) Wanted() string {
	current, known, secret := true, true, false
	var lines strings.Builder
	for i := range r.Paths {
		p := &r.Paths[i]
		current, known, secret = current && p.current(), known && p.Known, secret || p.Secret || p.wanted.Secret
		fmt.Fprintln(&lines, cmp.Or(p.Wanted, "-"))
	}
	switch {
	case current && known:
		return r.OnDisk()
	case current:
		return ""
	case !known || secret:
		return "changed"
	case len(r.Paths) == 1:
		return short(r.Paths[0].Wanted)
	}
	sum := sha256.Sum256([]byte(lines.String()))
	return short(hex.EncodeToString(sum[:]))
}

func short(digest string) string { return digest[:min(len(digest), shownDigits)] }

// Outcome is that of the last signal or call, or how what is on disk was rejected; empty: there
// is none.
func (r *Rule) Outcome() string {
	if by := r.Status.Rejection(); by != nil {
		return by.Outcome
	}
	var all []string
	for _, t := range r.Status.Targets {
		if t.Outcome != "" && !slices.Contains(all, t.Outcome) {
			all = append(all, t.Outcome)
		}
	}
	return strings.Join(all, ",")
}

// Since is when what the verdict says came to be; zero: that is unknown.
func (r *Rule) Since() (since time.Time) {
	if r.Status.OnDisk != nil {
		since = r.Status.OnDisk.Since
	}
	if by := r.Status.Rejection(); by != nil {
		return by.Since
	}
	if r.Verdict != Live {
		return since
	}
	for _, t := range r.Status.Targets {
		if t.Running.Since.After(since) {
			since = t.Running.Since
		}
	}
	return since
}
