package inject

import (
	"strings"
	"testing"
)

// A pod stays in its class of quality of service.
func TestSize(t *testing.T) {
	const (
		burstable = "{requests: {cpu: 1m, memory: 16Mi}, limits: {memory: 32Mi}}"
		whole     = "{requests: {cpu: 50m, memory: 32Mi}, limits: {cpu: 50m, memory: 32Mi}}"
		note      = "podsignal: Pod/web: the pod's quality of service is Guaranteed, and stays so: podsignal gets 50m of CPU and 32Mi of memory, as request and as limit\n"
	)
	tests := []struct{ name, resources, others, pod, want string }{
		{"none", "{}", "", "", burstable},
		{"limits", "{limits: {cpu: 1, memory: 1Gi}}", "", "", whole},
		{"equal", "{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1000m, memory: 1024Mi}}", "", "", whole},
		{"no limit of the processor", "{limits: {memory: 1Gi}, requests: {memory: 1Gi}}", "", "", burstable},
		{"a limit of nothing", "{limits: {cpu: 0, memory: 1Gi}}", "", "", burstable},
		{"a smaller request", "{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 1G}}", "", "", burstable},
		{"another container without", "{limits: {cpu: 1, memory: 1Gi}}", "{name: other}", "", burstable},
		{"another container with", "{limits: {cpu: 1, memory: 1Gi}}", "{name: other, resources: {limits: {cpu: 2, memory: 1e9}}}", "", whole},
		{"no number", "{limits: {cpu: one, memory: 1Gi}}", "", "", burstable},
		{"of the pod", "{}", "", "{limits: {cpu: 1, memory: 1Gi}}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := edited(t, web, "image: nginx:1.28", "image: nginx:1.28\n    resources: "+tt.resources+"\n    securityContext: {runAsUser: 101}")
			if tt.others != "" {
				in = edited(t, in, "  containers:", "  containers:\n  - "+tt.others)
			}
			if tt.pod != "" {
				in = edited(t, in, "spec:", "spec:\n  resources: "+tt.pod)
			}
			out, notes := injected(t, in, "--process=nginx")
			if got := written(podsignalIn(t, out), "resources"); got != tt.want {
				t.Errorf("resources are %s, want %s", got, tt.want)
			}
			if (notes == note) != (tt.want == whole) {
				t.Errorf("told %q", notes)
			}
		})
	}

	// With the program's image the limit of memory is the program's, and the init container that
	// copies podsignal counts, too.
	in := edited(t, web, "image: nginx:1.28", "image: nginx:1.28\n    resources: {limits: {cpu: 1, memory: 1Gi}}")
	out, _ := injected(t, in, "--process=nginx", "--validate=nginx -t")
	if got, want := written(podsignalIn(t, out), "resources"), strings.ReplaceAll(whole, "32Mi", "1Gi"); got != want {
		t.Errorf("resources are %s, want %s", got, want)
	}
	if got := written(containerIn(t, out, installer), "resources"); got != whole {
		t.Errorf("resources of %s are %s, want %s", installer, got, whole)
	}
}

func TestQuantity(t *testing.T) {
	for _, pair := range [][2]string{{"1", "1000m"}, {"1Gi", "1024Mi"}, {"1.5", "1500m"}, {"1e3", "1k"}, {"1E3", "1000"}, {"128974848", "123Mi"}, {"1u", "1000n"}} {
		a, ok := quantity(pair[0])
		b, also := quantity(pair[1])
		if !ok || !also || a.Cmp(b) != 0 {
			t.Errorf("%s and %s are %v and %v", pair[0], pair[1], a, b)
		}
	}
	for _, bad := range []string{"", "m", "1/2", "0x10", "1e99999999", "one", "1p4", "1_0", strings.Repeat("1", 40)} {
		if q, ok := quantity(bad); ok {
			t.Errorf("%q is taken for %v", bad, q)
		}
	}
}
