package deliver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/cmd/internal/verify"
)

func TestProblems(t *testing.T) {
	at := Moment{time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)}
	onDisk, other := &Digest{"d2", at}, &Digest{"d1", at}
	rejected := func(outcome verify.Outcome) *Rejection { return &Rejection{Digest{"d2", at}, outcome} }
	for _, test := range []struct {
		name string
		of   Status
		want []string
	}{
		{"in sync", Status{Process: "web", OnDisk: onDisk, Targets: []TargetStatus{{PID: 7, Delivered: onDisk, Running: onDisk}}}, nil},
		{"the effect is unknown", Status{Process: "web", OnDisk: onDisk, Targets: []TargetStatus{{PID: 7, Delivered: onDisk, Outcome: "unseen"}}}, nil},
		{"before the first scan", Status{Process: "web"}, []string{"the first scan of the files is not finished"}},
		{"no process", Status{Process: "web", OnDisk: onDisk, Pending: "no process"}, []string{"no process"}},
		{"stale", Status{Process: "web", OnDisk: onDisk, Stale: "the mount is stale"}, []string{"the mount is stale"}},
		{
			"waiting for its effect",
			Status{Process: "web", OnDisk: onDisk, Targets: []TargetStatus{{PID: 7, Delivered: onDisk, Pending: "its effect is watched"}}},
			[]string{"web (pid 7): its effect is watched"},
		},
		{
			"refused",
			Status{Process: "web", OnDisk: onDisk, Targets: []TargetStatus{{PID: 7, Running: other, Rejected: rejected("refused")}}},
			[]string{"web (pid 7) rejected digest d2 at 2026-11-26T20:00:00Z, and runs d1: fix the files; see its log"},
		},
		{
			"a URL has refused",
			Status{URL: "http://app", OnDisk: onDisk, Targets: []TargetStatus{{Rejected: rejected("refused"), Pending: "500"}}},
			[]string{"http://app rejected digest d2 at 2026-11-26T20:00:00Z: fix the files; see its log"},
		},
		{
			"died",
			Status{Process: "web", OnDisk: onDisk, Rejected: rejected("died"), Pending: "no process"},
			[]string{"web died of digest d2 at 2026-11-26T20:00:00Z: fix the files; see its log", "no process"},
		},
		{
			"invalid",
			Status{
				Process: "web", OnDisk: onDisk, Rejected: rejected("invalid"), Pending: "exit status 1",
				Targets: []TargetStatus{{PID: 7, Delivered: other, Running: other, Pending: "the files are not valid yet"}},
			},
			[]string{"digest d2 is invalid since 2026-11-26T20:00:00Z: fix the files; see podsignal's log"},
		},
	} {
		if diff := cmp.Diff(test.want, test.of.Problems()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}
