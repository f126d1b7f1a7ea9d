package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/volume"
)

// A Report is how far one pod has come.
type Report struct {
	Pod     *corev1.Pod
	Sidecar *sidecar.Sidecar // nil: it has none
	Verdict Verdict          // the worst of its rules
	Reason  string           // why it is no further, other than what its rules say
	Rules   []Rule
}

// A Rule is how far one rule has come.
type Rule struct {
	Status  sidecar.Status
	Paths   []Path
	Verdict Verdict
	Reason  string // why it is no further
}

// A Path is what a path of FILE shows, and is to show.
type Path struct {
	sidecar.Path
	Wanted string // the digest that it is to have; empty: nothing is to be there
	Known  bool   // Wanted is known
	wanted volume.Wanted
}

// current tells whether the path shows what it is to show, as far as is known.
func (p *Path) current() bool {
	return p.wanted.Undeliverable == "" && (!p.Known || p.Wanted == p.Digest)
}

// Why is all that keeps the pod from being live.
func (r *Report) Why() string {
	if !r.Verdict.Counts() {
		return ""
	}
	var all []string
	for i := range r.Rules {
		rule := &r.Rules[i]
		if rule.Reason == "" {
			continue
		}
		why := rule.Reason
		if rule.Status.Rule != "" {
			why = fmt.Sprintf("rule %s: %s", rule.Status.Rule, why)
		}
		all = append(all, why)
	}
	if r.Reason != "" {
		all = append(all, r.Reason)
	}
	return strings.Join(all, "; ")
}

// Ready tells whether the pod is ready, as its kubelet says.
func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// undeliverable tells whether the API lacks something that the kubelet waits for, or the pod sees
// no update.
func (r *Report) undeliverable() bool {
	return r.any(func(p *Path) bool { return p.wanted.Undeliverable != "" || p.wanted.Fixed != "" })
}

// LeftOut says which paths are in no comparison, and why.
func LeftOut(all []*Report) (why []string) {
	for _, r := range all {
		for i := range r.Rules {
			for k := range r.Rules[i].Paths {
				if p := &r.Rules[i].Paths[k]; !p.Known && p.wanted.Undeliverable == "" && p.wanted.Fixed == "" && p.wanted.Same == "" {
					why = append(why, fmt.Sprintf("%s: %s", p.Path.Path, cmp.Or(p.wanted.Unknown, "podsignal says that only the pod can know what it shows")))
				}
			}
		}
	}
	slices.Sort(why)
	return slices.Compact(why)
}

// waits tells whether a rule of the pod has not got what the kubelet can deliver.
func (r *Report) waits() bool {
	return slices.ContainsFunc(r.Rules, func(rule Rule) bool {
		stuck := slices.ContainsFunc(rule.Paths, func(p Path) bool { return p.wanted.Undeliverable != "" })
		return rule.Verdict == Waiting && !stuck
	})
}

// compared tells whether what it is to show is known from other pods alone.
func (r *Report) compared() bool {
	return r.any(func(p *Path) bool { return p.wanted.Same != "" })
}

func (r *Report) any(is func(*Path) bool) bool {
	for i := range r.Rules {
		for k := range r.Rules[i].Paths {
			if is(&r.Rules[i].Paths[k]) {
				return true
			}
		}
	}
	return false
}

// holds tells whether a rule of the pod has HOLD.
func (r *Report) holds() bool {
	return slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Status.Hold != "" })
}

// approvals are the digests that let its rules with HOLD deliver what is wanted.
func (r *Report) approvals() string {
	var all []string
	for i := range r.Rules {
		if r.Rules[i].Status.Hold == "" {
			continue
		}
		for k := range r.Rules[i].Paths {
			p := &r.Rules[i].Paths[k]
			digest := p.Wanted
			if !p.Known {
				digest = p.Digest // only the pod can know it
			}
			if digest != "" {
				all = append(all, digest)
			}
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "\n")
}

// approved tells whether the pod's annotation has all of these digests.
func approved(pod *corev1.Pod, approvals string) bool {
	has := strings.Fields(pod.Annotations[approvedKey])
	for digest := range strings.Lines(approvals) {
		if !slices.Contains(has, strings.TrimSpace(digest)) {
			return false
		}
	}
	return true
}

// A Summary counts pods.
type Summary struct {
	Counted int // that are to be live
	By      map[Verdict]int
}

// Summarize counts the pods of reports.
func Summarize(all []*Report) Summary {
	s := Summary{By: make(map[Verdict]int)}
	for _, r := range all {
		s.By[r.Verdict]++
		if r.Verdict.Counts() {
			s.Counted++
		}
	}
	return s
}

// Live tells whether all pods that count are, and there is one.
func (s Summary) Live() bool { return s.Counted > 0 && s.By[Live] == s.Counted }

// String is such as "2 of 3 pods live, 1 refused; not counted: 1 completed".
func (s Summary) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %s live", s.By[Live], pods(s.Counted))
	counted := slices.DeleteFunc(slices.Clone(order), func(v Verdict) bool { return v == Live || !v.Counts() })
	slices.Reverse(counted)
	for _, v := range counted {
		if n := s.By[v]; n > 0 {
			fmt.Fprintf(&text, ", %d %s", n, v)
		}
	}
	between := "; not counted: "
	for _, v := range []Verdict{Completed, Deleted, Without} {
		if n := s.By[v]; n > 0 {
			fmt.Fprintf(&text, "%s%d %s", between, n, v)
			between = ", "
		}
	}
	return text.String()
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

// count is such as "2 pods were".
func count(n int, was, were string) string {
	if n == 1 {
		return pods(n) + " " + was
	}
	return pods(n) + " " + were
}

// sortReports puts them in the order of the pods' names.
func sortReports(all []*Report) {
	slices.SortFunc(all, func(a, b *Report) int { return cmp.Or(byName(a.Pod, b.Pod), cmp.Compare(a.Pod.UID, b.Pod.UID)) })
}
