package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/volume"
)

// digest is one of 64 equal digits.
func digest(digit string) string { return strings.Repeat(digit, 64) }

func TestWantedIsShown(t *testing.T) {
	const label = "abcdefabcdef" // of what is on disk, in podsignal's log
	path := func(is, want string) Path {
		return Path{Path: sidecar.Path{Path: "/a", Digest: is}, Wanted: want, Known: true}
	}
	secret := func(is, want string) Path {
		p := path(is, want)
		p.Secret = true
		return p
	}
	ofSecret := func(is, want string) Path {
		p := path(is, want)
		p.wanted = volume.Wanted{Secret: true}
		return p
	}
	unknown := Path{Path: sidecar.Path{Path: "/b", Digest: digest("b")}}
	for _, test := range []struct {
		name  string
		paths []Path
		want  string
	}{
		{"the same", []Path{path(digest("1"), digest("1"))}, label},
		{"the same, of a Secret", []Path{secret(digest("1"), digest("1"))}, label},
		{"another", []Path{path(digest("1"), digest("2"))}, "222222222222"},
		{"nothing", []Path{path(digest("1"), "")}, ""},
		// printf '%s\n' 222… 333… | sha256sum
		{"another of two", []Path{path(digest("1"), digest("2")), path(digest("3"), digest("3"))}, "d1714ff7c546"},
		{"another, of a Secret", []Path{secret(digest("1"), digest("2"))}, "changed"},
		{"another, of what is a Secret in the API alone", []Path{ofSecret(digest("1"), digest("2"))}, "changed"},
		{"another, beside a Secret", []Path{path(digest("1"), digest("2")), secret(digest("3"), digest("3"))}, "changed"},
		{"what only the pod knows", []Path{unknown}, ""},
		{"another, beside what only the pod knows", []Path{path(digest("1"), digest("2")), unknown}, "changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Rule{Status: sidecar.Status{OnDisk: &sidecar.Digest{Digest: label}}, Paths: test.paths}
			if got := r.Wanted(); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
}

// TestVerdicts: what podsignal says, and what it comes to.
func TestVerdicts(t *testing.T) {
	is := func(d string) *sidecar.Digest { return &sidecar.Digest{Digest: d} }
	runs := sidecar.Target{PID: 7, Running: is("new")}
	ran := sidecar.Target{PID: 7, Running: is("old")}
	rejection := func(d, outcome string) *sidecar.Rejection {
		return &sidecar.Rejection{Digest: *is(d), Outcome: outcome}
	}
	for _, test := range []struct {
		name   string
		status sidecar.Status
		path   Path
		want   Verdict
	}{
		{"live", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{runs}}, Path{}, Live},
		{"one of two targets", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{runs, ran}}, Path{}, Pending},
		{"no target", sidecar.Status{OnDisk: is("new")}, Path{}, Pending},
		{"nothing is known of a target", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{{PID: 7}}}, Path{}, Pending},
		{"before the first scan", sidecar.Status{}, Path{}, Pending},
		{"no process", sidecar.Status{OnDisk: is("new"), Pending: "no process"}, Path{}, Pending},
		{"DRY_RUN", sidecar.Status{OnDisk: is("new"), DryRun: true, Targets: []sidecar.Target{runs}}, Path{}, Pending},
		{"a target that waits", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{runs, {Running: is("new"), Pending: "SPLAY"}}}, Path{}, Pending},
		{"a stale mount", sidecar.Status{OnDisk: is("new"), Stale: "subPath", Targets: []sidecar.Target{runs}}, Path{}, Pending},
		{"refused", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{{Running: is("old"), Rejected: rejection("new", "refused")}}}, Path{}, Refused},
		{"refused before", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{{Running: is("new"), Rejected: rejection("old", "refused")}}}, Path{}, Live},
		{"refused by one of two", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{runs, {Running: is("old"), Rejected: rejection("new", "refused")}}}, Path{}, Refused},
		{"invalid", sidecar.Status{OnDisk: is("new"), Rejected: rejection("new", "invalid"), Targets: []sidecar.Target{ran}}, Path{}, Invalid},
		{"died", sidecar.Status{OnDisk: is("new"), Rejected: rejection("new", "died"), Pending: "no process"}, Path{}, Died},
		{"held", sidecar.Status{OnDisk: is("new"), Hold: "/h", Held: time.Unix(1, 0), Pending: "held", Targets: []sidecar.Target{{Running: is("old"), Held: true, Pending: "held"}}}, Path{}, Held},
		{"the kubelet is late", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{runs}}, Path{Path: sidecar.Path{Digest: "1"}, Wanted: "2", Known: true}, Waiting},
		{"refused, and the API has another", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{{Running: is("old"), Rejected: rejection("new", "refused")}}}, Path{Path: sidecar.Path{Digest: "1"}, Wanted: "2", Known: true}, Waiting},
		{"the kubelet cannot deliver", sidecar.Status{OnDisk: is("new"), Targets: []sidecar.Target{runs}}, Path{wanted: volume.Wanted{Undeliverable: "there is no ConfigMap"}}, Waiting},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Rule{Status: test.status, Paths: []Path{test.path}}
			got, why := r.judge()
			if got != test.want || (why == "") != (got == Live) {
				t.Errorf("%s: %q, want %s", got, why, test.want)
			}
		})
	}
}

// TestWorst: a pod is what its worst rule is.
func TestWorst(t *testing.T) {
	for _, all := range [][3]Verdict{{Live, Waiting, Waiting}, {Held, Refused, Refused}, {Died, Pending, Died}, {Live, Live, Live}} {
		if got := worst(all[0], all[1]); got != all[2] {
			t.Errorf("of %s and %s it is %s", all[0], all[1], got)
		}
	}
}
