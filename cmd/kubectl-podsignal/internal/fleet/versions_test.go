package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

// TestVersions: the podsignal in a pod may be older or newer than the plugin. What it prints is taken
// as far as it is known, and a pod is never live for want of a field.
func TestVersions(t *testing.T) {
	const update = ", which this plugin needs: use podsignal's image of the plugin's version"
	// As builds of podsignal's repository have printed it, but for the path and the digest, which are
	// those of the pod.
	const (
		head    = `{"version": "dev", "file": ["/etc/nginx"], "process": "nginx", "signal": "HUP", "mode": "inotify", `
		paths   = `"paths": [{"path": "/etc/nginx", "digest": "DIGEST"}], `
		running = `"on_disk": {"digest": "DIG", "since": "2026-11-27T07:40:57.549Z"}, `
		targets = `"targets": [{"pid": 9, "started": "2026-11-27T07:40:54.531Z", "delivered": {"digest": "DIG", "since": "2026-11-27T07:40:57.549Z"}, ` +
			`"running": {"digest": "DIG", "since": "2026-11-27T07:40:57.56Z"}, "outcome": "read"}], `
		written = `"written": "2026-11-27T07:41:02.556Z", "due": "2026-11-27T07:41:32.549Z"}`
	)
	for _, test := range []struct {
		name, stdout, stderr string
		exit                 int
		want                 Verdict
		why                  string
	}{
		{name: "c03cca6, before podsignal said what EXCLUDE leaves out", stdout: head + running + paths + targets + written, want: Live},
		{name: "2fbaf66, before paths", stdout: head + running + targets + written, want: Pending, why: "podsignal cannot be asked: its status has no paths" + update},
		{
			name: "73275b2, before podsignal status", exit: 2, want: Pending,
			stderr: `podsignal: unknown arguments "status --json": use podsignal check, inject, help or version, or none, with which podsignal is configured by the environment`,
			why:    "podsignal cannot be asked: it has no podsignal status --json" + update + ` (podsignal: unknown arguments "status --json": `,
		},
		{name: "no status", stdout: `{"rules": [{}]}`, want: Pending, why: "podsignal cannot be asked: its status has no targets" + update},
		{
			name: "with fields to come", want: Live,
			stdout: strings.ReplaceAll(head+running+paths+targets+`"new": {"a": [1]}, `+written, `"digest": `, `"new": [{}], "digest": `),
		},
		{name: "with outcomes to come", stdout: head + running + paths + strings.Replace(targets, `"read"`, `"seen"`, 1) + written, want: Live},
		{
			name: "with a rejection to come", want: Refused,
			stdout: head + running + paths + `"rejected": {"digest": "DIG", "outcome": "expired"}, ` + targets + written,
			why:    "podsignal says expired, which this plugin does not know: see podsignal's log",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 1)
			digest := d.Digest()
			s.Exec = func(e *apitest.Exec) int {
				fmt.Fprint(&e.Stdout, strings.NewReplacer("DIGEST", digest, "DIG", digest[:12]).Replace(test.stdout))
				fmt.Fprint(&e.Stderr, test.stderr)
				return test.exit
			}
			all, err := newFleet(t, s).Status(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("%v: %v", all, err)
			}
			if got := all[0]; got.Verdict != test.want || !strings.HasPrefix(got.Why(), test.why) || test.why == "" && got.Why() != "" {
				t.Errorf("%s: %s\nwant %s: %s", got.Verdict, got.Why(), test.want, test.why)
			}
		})
	}
}

// TestSyncVersions: sync ends where the podsignal of a pod rejects what is on disk in a way that the
// plugin does not know yet.
func TestSyncVersions(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 1)
	answer := s.Exec
	s.Exec = func(e *apitest.Exec) int {
		status := answer(e)
		out := strings.Replace(e.Stdout.String(), `"outcome":"refused"`, `"outcome":"expired"`, 2)
		e.Stdout.Reset()
		e.Stdout.WriteString(out)
		return status
	}
	d.Outcome = func(string, string) string { return "refused" }
	d.Set("second")
	began := time.Now()
	all, err := newFleet(t, s).Sync(t.Context(), 10*time.Second, func(*Progress) {})
	if got := Summarize(all); err != nil || got.By[Refused] != 1 || time.Since(began) > 8*time.Second {
		t.Errorf("%s after %v: %v", got, time.Since(began), err)
	}
}
