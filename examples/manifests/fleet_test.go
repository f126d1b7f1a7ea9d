package manifests_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// TestFleet holds the roles against the table of README.md, and the Job against the roles.
func TestFleet(t *testing.T) {
	objects := func(name string) (all []any) {
		t.Helper()
		content, err := os.ReadFile("../fleet/" + name)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := decode(content)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range decoded {
			all = append(all, object)
		}
		return all
	}
	readme, err := os.ReadFile("../fleet/README.md")
	if err != nil {
		t.Fatal(err)
	}

	roles := make(map[string]bool)
	for _, object := range objects("rights.yaml") {
		role := object.(*rbacv1.ClusterRole)
		roles[role.Name] = true
		verbs := make(map[string]string) // by resource
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				verbs[resource] = strings.Join(rule.Verbs, ", ")
			}
		}
		cells := []string{fmt.Sprintf("`%s`", role.Name)}
		if role.Name == "podsignal-secrets" {
			cells[0] += ", beside one of the first three"
		}
		for _, resource := range []string{"pods", "pods/exec", "configmaps", "secrets", "deployments"} {
			cells = append(cells, verbs[resource])
		}
		row := "|"
		for _, cell := range cells {
			row += strings.TrimSuffix(" "+cell, " ") + " |"
		}
		if !strings.Contains(string(readme), row+"\n") {
			t.Errorf("README.md has no row %s", row)
		}
		if workloads := verbs["deployments"]; verbs["services"] != workloads || verbs["cronjobs"] != workloads {
			t.Errorf("%s: %v, want the same for all workloads and Services", role.Name, verbs)
		}
	}
	if len(roles) != 5 {
		t.Errorf("%d roles, want 5", len(roles))
	}

	all := objects("job.yaml")
	account, binding, job := all[0].(*corev1.ServiceAccount), all[1].(*rbacv1.RoleBinding), all[2].(*batchv1.Job)
	if subject := binding.Subjects[0]; !roles[binding.RoleRef.Name] || subject.Name != account.Name || subject.Namespace != account.Namespace {
		t.Errorf("%v is bound to %v, want a role of rights.yaml for %s", subject, binding.RoleRef, account.Name)
	}
	pod := job.Spec.Template.Spec
	if pod.ServiceAccountName != account.Name || job.Namespace != account.Namespace || binding.Namespace != account.Namespace {
		t.Errorf("the Job runs as %s of %s", pod.ServiceAccountName, job.Namespace)
	}
	if args := pod.Containers[0].Args; "podsignal-"+args[0] != binding.RoleRef.Name {
		t.Errorf("the Job runs %v with the role %s", args, binding.RoleRef.Name)
	}
	if job.Spec.BackoffLimit == nil || *job.Spec.BackoffLimit != 0 || job.Annotations["argocd.argoproj.io/hook"] != "PostSync" {
		t.Error("the Job is tried again, or is no hook")
	}
}
