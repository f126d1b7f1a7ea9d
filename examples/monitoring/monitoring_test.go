// Package monitoring_test holds the rules and the dashboard against podsignal's metrics.
package monitoring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// meta is what all objects of Kubernetes begin with.
type meta struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
}

// podMonitor has those fields of the operator's PodMonitor that are used here.
type podMonitor struct {
	meta `yaml:",inline"`
	Spec struct {
		Selector            map[string]any
		NamespaceSelector   struct{ Any bool }  `yaml:"namespaceSelector"`
		PodMetricsEndpoints []map[string]string `yaml:"podMetricsEndpoints"`
	}
}

type prometheusRule struct {
	meta `yaml:",inline"`
	Spec rules
}

// rules is a rules file of Prometheus.
type rules struct {
	Groups []group `yaml:"groups"`
}

type group struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

func TestPodMonitor(t *testing.T) {
	var monitor podMonitor
	parse(t, "podmonitor.yaml", &monitor)
	if monitor.APIVersion != "monitoring.coreos.com/v1" || monitor.Kind != "PodMonitor" || monitor.Metadata.Name == "" {
		t.Errorf("%+v is no named PodMonitor", monitor.meta)
	}
	if monitor.Spec.Selector == nil {
		t.Error("no selector, which the operator requires")
	}
	if len(monitor.Spec.PodMetricsEndpoints) != 1 {
		t.Fatalf("%d endpoints, want 1", len(monitor.Spec.PodMetricsEndpoints))
	}
	port := monitor.Spec.PodMetricsEndpoints[0]["port"]
	// Kubernetes refuses a pod whose port has any other name (IANA_SVC_NAME).
	if !regexp.MustCompile(`^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$`).MatchString(port) {
		t.Errorf("%q cannot be the name of a port", port)
	}
	if want := "ports:\n        - {name: " + port + ", "; !strings.Contains(read(t, "README.md"), want) {
		t.Errorf("README.md gives podsignal no port named %q", port)
	}
}

func TestRules(t *testing.T) {
	var object prometheusRule
	parse(t, "rules.yaml", &object)
	if object.APIVersion != "monitoring.coreos.com/v1" || object.Kind != "PrometheusRule" || object.Metadata.Name == "" {
		t.Errorf("%+v is no named PrometheusRule", object.meta)
	}
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "testdata/rules_test.yaml")), &tests); err != nil {
		t.Fatal(err)
	}
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range tests.Tests {
		for _, alert := range test.Alerts {
			if len(alert.Want) > 0 {
				fires[alert.Name] = true
			} else {
				silent[alert.Name] = true
			}
		}
	}
	readme := read(t, "README.md")
	known := metrics(t)
	for _, group := range object.Spec.Groups {
		for _, rule := range group.Rules {
			t.Run(rule.Alert, func(t *testing.T) {
				if !fires[rule.Alert] || !silent[rule.Alert] {
					t.Errorf("tested to fire: %t, tested to be silent: %t", fires[rule.Alert], silent[rule.Alert])
				}
				if row := fmt.Sprintf("| `%s` | %s |", rule.Alert, rule.Labels["severity"]); !strings.Contains(readme, row) {
					t.Errorf("no row %s in README.md", row)
				}
				if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
					t.Errorf("severity is %q", rule.Labels["severity"])
				}
				if rule.Annotations["summary"] == "" || !strings.Contains(rule.Annotations["description"], "kubectl ") {
					t.Errorf("no summary, or no description with a command, in %q", rule.Annotations)
				}
				onlyKnown(t, known, rule.Expr)
			})
		}
	}

	dir := t.TempDir()
	write(t, dir, "rules.yaml", object.Spec)
	// promtool looks for rule_files in the folder of the tests.
	if err := os.WriteFile(filepath.Join(dir, "rules_test.yaml"), []byte(read(t, "testdata/rules_test.yaml")), 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", filepath.Join(dir, "rules.yaml"))
	promtool(t, nil, "test", "rules", filepath.Join(dir, "rules_test.yaml"))
}

type dashboard struct {
	Title      string
	Templating struct {
		List []struct {
			Type, Name string
			Query      any // a string, or an object that holds one
			Definition string
			Datasource source
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		Expr, LegendFormat string
		Datasource         source
	}
}

type source struct{ Type, UID string }

// An expression of the dashboard.
type expression struct {
	text  string
	rules bool // tells them apart
	count bool // of pods: of the one that testdata/metrics.txt is from, 1
}

// counts are the panels that count pods: each once, however many rules it has.
var counts = []string{"Containers of podsignal", "Out of sync", "Without a target", "Polling", "Pods by digest", "Watch mode"}

// The dashboard is one screen: Grafana has 24 columns, and about 22 rows on 1080p.
const columns, rows = 24, 22

func TestDashboard(t *testing.T) {
	var board dashboard
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &board); err != nil {
		t.Fatal(err)
	}
	chosen := source{Type: "prometheus", UID: "${datasource}"}
	if list := board.Templating.List; len(list) == 0 || list[0].Type != "datasource" || list[0].Name != "datasource" || list[0].Query != "prometheus" {
		t.Errorf("the first variable is no data source: %+v", list)
	}
	known := metrics(t)
	for _, variable := range board.Templating.List[1:] {
		if variable.Datasource != chosen {
			t.Errorf("variable %s asks %+v", variable.Name, variable.Datasource)
		}
		metric, _, _ := strings.Cut(strings.TrimPrefix(variable.Definition, "label_values("), ",")
		onlyKnown(t, known, metric)
	}

	var exprs []expression
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, panel := range board.Panels {
		if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 || ids[panel.ID] {
			t.Errorf("panel %d %q: no title, no description, no target or no id of its own", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		pos := panel.GridPos
		for x := pos.X; x < pos.X+pos.W; x++ {
			for y := pos.Y; y < pos.Y+pos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= columns || y >= rows {
					t.Fatalf("%q is outside of the screen, or lies on %q: %+v", panel.Title, other, pos)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
		for _, target := range panel.Targets {
			if panel.Datasource != chosen || target.Datasource != chosen {
				t.Errorf("%q asks %+v and %+v", panel.Title, panel.Datasource, target.Datasource)
			}
			onlyKnown(t, known, target.Expr)
			// What tells pods apart has to tell their rules apart, too.
			pods := panel.Type == "table" || strings.Contains(target.LegendFormat, "{{pod}}")
			if pods && panel.Type != "table" && !strings.Contains(target.LegendFormat, "{{rule}}") {
				t.Errorf("%q does not show the rule: %s", panel.Title, target.LegendFormat)
			}
			count := !pods && slices.Contains(counts, panel.Title)
			exprs = append(exprs, expression{withoutVariables(t, target.Expr), pods, count})
		}
	}
	checkExpressions(t, exprs, "")
	checkExpressions(t, exprs, `rule="nginx",`, `rule="mail",`)
}

// withoutVariables puts in what Grafana would for its variables.
func withoutVariables(t *testing.T, expr string) string {
	t.Helper()
	expr = strings.NewReplacer("$namespace", ".*", "$pod", ".*", "$__rate_interval", "4m", "$__range", "6h").Replace(expr)
	if strings.Contains(expr, "$") {
		t.Errorf("unknown variable in %s", expr)
	}
	return expr
}

// checkExpressions has promtool parse all, and evaluate all with testdata/metrics.txt,
// where each rule has series with a label of its own: an expression that yields nothing,
// or no number, has a name or a label wrong.
func checkExpressions(t *testing.T, exprs []expression, labels ...string) {
	t.Helper()
	type series struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	type evaluation struct {
		Expr    string   `yaml:"expr"`
		Time    string   `yaml:"eval_time"`
		Samples []sample `yaml:"exp_samples"`
	}
	type test struct {
		Interval    string       `yaml:"interval"`
		Series      []series     `yaml:"input_series"`
		Evaluations []evaluation `yaml:"promql_expr_test"`
	}
	var all test
	var recorded group
	all.Interval = "30s"
	recorded.Name = "dashboard"
	for i, expr := range exprs {
		recorded.Rules = append(recorded.Rules, rule{Record: fmt.Sprintf("dashboard:expression:%d", i), Expr: expr.text})
		want := 1
		if expr.rules {
			want = len(labels)
		}
		told := "count(count by (rule) ((" + expr.text + ") > -Inf))"
		all.Evaluations = append(all.Evaluations, evaluation{told, "10m", []sample{{"{}", float64(want)}}})
		if expr.count {
			all.Evaluations = append(all.Evaluations, evaluation{"max(" + expr.text + ")", "10m", []sample{{"{}", 1}}})
		}
	}
	for line := range strings.Lines(read(t, "testdata/metrics.txt")) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		bare, others, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		target := `{namespace="shop",pod="web-1",container="podsignal",`
		values := strings.TrimSpace(value) + "+0x40"
		if strings.HasSuffix(bare, "_total") || strings.HasPrefix(bare, "podsignal_change_to_signal_") {
			values = "0+" + strings.TrimSpace(value) + "x40"
		}
		for i, label := range labels {
			switch {
			case bare != "podsignal_build_info":
				all.Series = append(all.Series, series{bare + target + label + others + "}", values})
			case i == 0: // that has no rule
				all.Series = append(all.Series, series{bare + target + others + "}", values})
			}
		}
	}

	dir := t.TempDir()
	write(t, dir, "rules.yaml", rules{Groups: []group{recorded}})
	write(t, dir, "rules_test.yaml", map[string]any{"tests": []test{all}})
	promtool(t, nil, "check", "rules", filepath.Join(dir, "rules.yaml"))
	promtool(t, nil, "test", "rules", filepath.Join(dir, "rules_test.yaml"))
}

// The list that the rest is held against keeps to Prometheus' conventions.
func TestMetrics(t *testing.T) {
	promtool(t, strings.NewReader(read(t, "testdata/metrics.txt")), "check", "metrics")
}

// metrics returns the names that occur in series of podsignal's metrics.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	for line := range strings.Lines(read(t, "testdata/metrics.txt")) {
		if !strings.HasPrefix(line, "#") {
			known[line[:strings.IndexAny(line, "{ ")]] = true
		}
	}
	return known
}

var (
	// All of an expression whose words are no metrics: strings, labels, functions.
	notMetric = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)|\b\w+ *\(|\b(and|or|unless|offset|bool)\b`)
	// An aggregation's own name, where its labels come first: sum by (le) (…).
	aggregation = regexp.MustCompile(`\b(sum|min|max|avg|count) +(by|without)\b`)
	word        = regexp.MustCompile(`\b[a-zA-Z_]\w*`)
)

// onlyKnown fails the test if expr refers to any other metric, or to none.
func onlyKnown(t *testing.T, known map[string]bool, expr string) {
	t.Helper()
	rest := notMetric.ReplaceAllString(aggregation.ReplaceAllString(expr, "$2"), " ")
	names := word.FindAllString(rest, -1)
	if len(names) == 0 {
		t.Errorf("no metric in %s", expr)
	}
	for _, name := range names {
		if !known[name] {
			t.Errorf("%s is no metric of podsignal: %s", name, expr)
		}
	}
}

// promtool runs Prometheus' tool; what it complains of fails the test.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("install promtool (Debian: apt-get install prometheus)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// parse reads a file of one document into v, which must have all its fields.
func parse(t *testing.T, name string, v any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(read(t, name))))
	decoder.KnownFields(true)
	if err := decoder.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Fatalf("%s: more than one document (%v)", name, err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, dir, name string, v any) {
	t.Helper()
	content, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}
