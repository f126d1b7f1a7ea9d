package serve

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/pagetest"
	"github.com/podsignal/podsignal/cmd/internal/verify"
)

// All names and units are as Prometheus asks for, and its parser takes odd values.
func TestMetricsLint(t *testing.T) {
	s := &deliver.Status{
		OnDisk: &deliver.Digest{Digest: "0123456789ab", Since: deliver.Moment{Time: time.Now()}}, Signal: "a \"b\" \\ c\n", Mode: "poll", OutOfSync: deliver.Moment{Time: time.Now()},
		Targets: make([]deliver.TargetStatus, 2),
		Figures: deliver.Figures{At: time.Now(), WatchErrors: 3},
	}
	s.Figures.Counts.Latency.Count = 1
	for name, all := range map[string][]*deliver.Status{"one rule": {s}, "two rules": {{Rule: "web"}, {Rule: "a \"b\""}}} {
		problems, err := promlint.New(bytes.NewReader(metrics(all, notifications))).Lint()
		if err != nil {
			t.Fatal(name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
}

// notifications are counts of these.
func notifications() (sent, failed, dropped uint64) { return 1, 2, 3 }

// What each line says of the status.
func TestMetrics(t *testing.T) {
	now := time.Unix(2000, 0)
	s := &deliver.Status{
		Signal: "HUP", Mode: "poll",
		OnDisk:    &deliver.Digest{Digest: "0123456789ab", Since: deliver.Moment{Time: time.Unix(1000, 5e8)}},
		Rejected:  &deliver.Rejection{Digest: deliver.Digest{Digest: "0123456789ab"}},
		OutOfSync: deliver.Moment{Time: time.Unix(1900, 0)},
		Targets: []deliver.TargetStatus{
			{Running: &deliver.Digest{Digest: "ba9876543210"}},
			{Running: &deliver.Digest{Digest: "ba9876543210"}, Rejected: &deliver.Rejection{Digest: deliver.Digest{Digest: "0123456789ab"}}},
		},
		Figures: deliver.Figures{At: now, LastReload: deliver.ReloadFailed, Overdue: now.Add(-90 * time.Second), WatchErrors: 3},
	}
	c := &s.Figures.Counts
	c.Changes, c.Arrived, c.Late, c.HeldBack, c.Failed, c.LastArrived = 4, 5, 6, 7, 8, time.Unix(1500, 0)
	c.Latency.Count, c.Latency.Sum, c.Latency.Below[0] = 9, 10.5, 2
	c.Outcomes = map[verify.Outcome]uint64{"died": 11}
	page := string(metrics([]*deliver.Status{s}, notifications))
	for _, want := range []string{
		`watch_mode{mode="inotify"} 0`, `watch_mode{mode="poll"} 1`, `watch_errors_total 3`,
		`config_digest_info{digest="0123456789ab",state="on_disk"} 1`,
		`config_digest_info{digest="ba9876543210",state="running"} 1`, `config_digest_info{digest="0123456789ab",state="rejected"} 1`,
		`last_reload_successful 0`, `config_changes_total 4`, `config_last_change_timestamp_seconds 1000.5`,
		`targets 2`, `out_of_sync 1`, `out_of_sync_seconds 90`,
		`signals_total{result="sent",signal="HUP"} 5`, `signals_total{result="held_back",signal="HUP"} 7`, `signals_total{result="failed",signal="HUP"} 8`,
		`late_signals_total 6`, `signal_last_success_timestamp_seconds 1500`,
		`change_to_signal_seconds_bucket{le="0.001"} 2`, `change_to_signal_seconds_bucket{le="+Inf"} 9`,
		`change_to_signal_seconds_sum 10.5`, `change_to_signal_seconds_count 9`,
		`reload_outcome_total{outcome="died"} 11`, `reload_outcome_total{outcome="read"} 0`,
		`notifications_total{result="sent"} 1`, `notifications_total{result="failed"} 2`, `notifications_total{result="dropped"} 3`,
	} {
		if !strings.Contains(page, "\npodsignal_"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, page)
		}
	}
	// What is in sync, of a URL, and never was notified.
	page = string(metrics([]*deliver.Status{{Rule: "api", URL: "http://app/"}}, nil))
	for _, want := range []string{
		`out_of_sync{rule="api"} 0`, `out_of_sync_seconds{rule="api"} 0`, `config_last_change_timestamp_seconds{rule="api"} 0`,
		`signals_total{result="sent",signal="URL",rule="api"} 0`,
	} {
		if !strings.Contains(page, "\npodsignal_"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, page)
		}
	}
	for _, absent := range []string{"notifications", "config_digest_info"} {
		if strings.Contains(page, absent) {
			t.Errorf("%s in\n%s", absent, page)
		}
	}
}

// TestPageOfMetrics holds the table of metrics in OPERATIONS.md, with their labels, against the code.
func TestPageOfMetrics(t *testing.T) {
	all := func(rule string) []string {
		s := &deliver.Status{
			Rule: rule, Signal: "HUP", Hold: "/podinfo/approved", OnDisk: &deliver.Digest{Digest: "0123456789ab"},
			Figures: deliver.Figures{LastReload: deliver.ReloadSuccessful},
		}
		return names(string(metrics([]*deliver.Status{s}, notifications)))
	}
	const file = "../../podsignal/OPERATIONS.md"
	text := pagetest.Section(t, file, "Metrics")
	var onPage, ofRules []string
	for _, name := range pagetest.Names(text) {
		name, labels, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		onPage = append(onPage, named(name, strings.Split(labels, ",")...))
		ofRules = append(ofRules, named(name, strings.Split(labels+",rule", ",")...))
	}
	pagetest.Compare(t, "OPERATIONS.md", all(""), onPage)
	// "With RULES all but the first and the last have a label rule."
	last := len(onPage) - 1
	ofRules[0], ofRules[last] = onPage[0], onPage[last]
	pagetest.Compare(t, "OPERATIONS.md", all("web"), ofRules)
}

// names are those of the metrics on a page, with their labels but for a histogram's own.
func names(page string) (all []string) {
	label := regexp.MustCompile(`(\w+)="`)
	for _, sample := range regexp.MustCompile(`(?m)^(podsignal_\w+)(\{.*\})? `).FindAllStringSubmatch(page, -1) {
		name := sample[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		var labels []string
		for _, l := range label.FindAllStringSubmatch(sample[2], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		all = append(all, named(name, labels...))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// named is such as podsignal_signals_total{result,signal}.
func named(name string, labels ...string) string {
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
	if len(labels) == 0 {
		return name
	}
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ",") + "}"
}
