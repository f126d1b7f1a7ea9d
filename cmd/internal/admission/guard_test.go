//go:build admission

package admission_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

const fleet = "../../../examples/fleet/"

// The types of a patch.
const (
	merge     = "application/merge-patch+json"
	strategic = "application/strategic-merge-patch+json"
	patches   = "application/json-patch+json"
	apply     = "application/apply-patch+yaml"
)

// An as is a user of the API.
type as struct {
	*server
	token string
	other string // whom the user impersonates
}

func (a as) ask(t *testing.T, method, path, kind string, body any) answer {
	t.Helper()
	content, isText := body.(string)
	if !isText {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = string(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", kind)
	if a.other != "" {
		request.Header.Set("Impersonate-User", a.other)
	}
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{code: response.StatusCode, body: string(said)}
	_ = json.Unmarshal(bytes.TrimSpace(said), &got.object) // a proxy may answer with a word
	return got
}

// serviceAccount is one of the namespace "privileged", with that role everywhere.
func (s *server) serviceAccount(t *testing.T, name, role string) as {
	t.Helper()
	s.apply(t, object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": name, "namespace": "privileged"}})
	s.bind(t, name, role, object{"kind": "ServiceAccount", "name": name, "namespace": "privileged"})
	a := s.request(t, "POST", "/api/v1/namespaces/privileged/serviceaccounts/"+name+"/token",
		object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{"audiences": []any{}}})
	status, _ := a.object["status"].(object)
	token, _ := status["token"].(string)
	if token == "" {
		t.Fatalf("no token for %s: %s", name, a.body)
	}
	return as{server: s, token: token}
}

func (s *server) bind(t *testing.T, name, role string, subject object) {
	t.Helper()
	s.apply(t, object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": name},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
		"subjects": []any{subject},
	})
}

func user(name string) object {
	return object{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
}

const guarded = "/api/v1/namespaces/privileged/pods/guarded"

// wantRefused says that the guard has refused a request, and why.
func wantRefused(t *testing.T, a answer, why string) {
	t.Helper()
	if a.code != http.StatusForbidden || !strings.Contains(a.body, "podsignal-guard") || !strings.Contains(a.body, why) {
		t.Errorf("%d %s, want it refused: %s", a.code, a.body, why)
	}
}

func wantOK(t *testing.T, a answer) {
	t.Helper()
	if a.code/100 != 2 {
		t.Errorf("%d %s, want it admitted", a.code, a.body)
	}
}

// startFleet creates a pod, which stays, installs roles and guard, and waits until the guard is in force.
func startFleet(t *testing.T, s *server) (admin as, sync as) {
	t.Helper()
	for _, file := range []string{"rights.yaml", "guard.yaml"} {
		for _, o := range documents(t, fleet+file) {
			s.apply(t, o)
		}
	}
	p := pod("{example.com/other: x, podsignal/synced-at: before}", simple)
	p["metadata"].(object)["name"] = "guarded"
	p["metadata"].(object)["labels"] = object{"app": "web"}
	containers := p["spec"].(object)["containers"].([]any)
	p["spec"].(object)["containers"] = append(containers, object{"name": "podsignal", "image": "podsignal:0.1.0", "resources": object{"requests": object{"cpu": "1"}}})
	wantCreated(t, s.request(t, "POST", path(p), p))

	sync = s.serviceAccount(t, "podsignal-sync", "cluster-admin") // whatever its roles give
	s.wait(t, "the guard", func() string {
		a := sync.ask(t, "PATCH", guarded+"?dryRun=All", merge, `{"metadata": {"labels": {"a": "b"}}}`)
		if a.code != http.StatusForbidden || !strings.Contains(a.body, "podsignal-guard") {
			return a.body
		}
		return ""
	})
	return as{server: s, token: "admission"}, sync
}

// testGuard has accounts with all rights do what the guard lets them, and what it does not.
func testGuard(t *testing.T, s *server) {
	admin, sync := startFleet(t, s)
	rollout := s.serviceAccount(t, "podsignal-rollout", "cluster-admin")
	send := s.serviceAccount(t, "podsignal-send", "cluster-admin")
	status := s.serviceAccount(t, "podsignal-status", "cluster-admin")
	ci := s.serviceAccount(t, "podsignal-synchronizer", "cluster-admin") // of another name
	impersonating := as{admin.server, admin.token, "system:serviceaccount:shop:podsignal-rollout"}
	s.bind(t, "impersonated", "cluster-admin", user(impersonating.other))

	annotated := func(key string, value any) object {
		return object{"metadata": object{"annotations": object{key: value}}}
	}
	// put is the pod as it is, with a change.
	put := func(a as, change func(pod object)) answer {
		t.Helper()
		now := admin.ask(t, "GET", guarded, merge, "").object
		change(now)
		return a.ask(t, "PUT", guarded, "application/json", now)
	}
	metadata := func(p object) object { return p["metadata"].(object) }
	annotations := func(p object) object { return metadata(p)["annotations"].(object) }

	t.Run("annotations", func(t *testing.T) {
		for _, a := range []as{rollout, impersonating} {
			for _, value := range []any{"now", "", nil, strings.Repeat("0123456789abcdef\n", 2000), "now"} {
				for _, key := range []string{"podsignal/synced-at", "podsignal/approved"} {
					for _, kind := range []string{merge, strategic} {
						wantOK(t, a.ask(t, "PATCH", guarded, kind, annotated(key, value)))
					}
				}
			}
			applied := annotated("podsignal/synced-at", "applied")
			applied["apiVersion"], applied["kind"] = "v1", "Pod"
			wantOK(t, a.ask(t, "PATCH", guarded+"?fieldManager=fleet&force=true", apply, applied))
			wantOK(t, a.ask(t, "PATCH", guarded, patches, `[{"op": "replace", "path": "/metadata/annotations/podsignal~1synced-at", "value": "x"}]`))
			wantOK(t, put(a, func(p object) { annotations(p)["podsignal/approved"] = "put" }))
			wantOK(t, put(a, func(p object) { delete(annotations(p), "podsignal/approved") }))
		}
		now := annotations(admin.ask(t, "GET", guarded, merge, "").object)
		if now["example.com/other"] != "x" || now["podsignal/synced-at"] != "x" || now["podsignal/approved"] != nil {
			t.Errorf("in the end the annotations are %v", now)
		}
		wantOK(t, sync.ask(t, "PATCH", guarded, merge, annotated("podsignal/synced-at", "now")))
		const only = "may not change the annotation podsignal/approved of a pod: it may change podsignal/synced-at"
		wantRefused(t, sync.ask(t, "PATCH", guarded, merge, annotated("podsignal/approved", "x")), "privileged:podsignal-sync "+only)
		for _, a := range []as{status, send} {
			wantRefused(t, a.ask(t, "PATCH", guarded, merge, annotated("podsignal/synced-at", "x")), "it may change none")
		}
	})

	t.Run("all else of a pod", func(t *testing.T) {
		for _, test := range []struct{ patch, why string }{
			{`{"metadata": {"annotations": {"podsignal/process": "x"}}}`, "the annotation podsignal/process of a pod: it may change podsignal/synced-at and podsignal/approved"},
			{`{"metadata": {"annotations": {"podsignal/synced-at": "x", "podsignal/hold": "true"}}}`, "the annotation podsignal/hold of"},
			{`{"metadata": {"annotations": {"example.com/other": "y"}}}`, "the annotation example.com/other of"},
			{`{"metadata": {"annotations": {"example.com/other": null}}}`, "the annotation example.com/other of"},
			{`{"metadata": {"annotations": null}}`, "the annotation example.com/other of"},
			{`{"metadata": {"annotations": {"PODSIGNAL/synced-at": "y"}}}`, "the annotation PODSIGNAL/synced-at of"},
			{`{"metadata": {"labels": {"app": "x"}}}`, "may not change labels of a pod"},
			{`{"metadata": {"labels": {"new": "x"}}}`, "may not change labels of a pod"},
			{`{"metadata": {"labels": null}}`, "may not change labels of a pod"},
			{`{"metadata": {"annotations": {"podsignal/synced-at": "x"}, "labels": {"app": "x"}}}`, "may not change labels of a pod"},
			{`{"metadata": {"finalizers": ["example.com/x"]}}`, "may not change finalizers of a pod"},
			{`{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}]}}`, "may not change ownerReferences of a pod"},
			{`{"spec": {"containers": [{"name": "nginx", "image": "other"}]}}`, "may not change spec"},
			{`{"spec": {"activeDeadlineSeconds": 1}}`, "may not change spec of a pod"},
			{`{"spec": {"activeDeadlineSeconds": 1}, "metadata": {"annotations": {"podsignal/synced-at": "x"}, "labels": null}}`, "may not change spec, labels of a pod"},
		} {
			wantRefused(t, rollout.ask(t, "PATCH", guarded, strategic, test.patch), test.why)
		}
		wantRefused(t, put(rollout, func(p object) { delete(annotations(p), "example.com/other") }), "the annotation example.com/other of")
		wantRefused(t, put(rollout, func(p object) { delete(metadata(p), "labels") }), "may not change labels of")
		wantRefused(t, put(rollout, func(p object) { p["spec"].(object)["containers"].([]any)[0].(object)["image"] = "x" }), "may not change spec of")
		applied := object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"labels": object{"app": "x"}}}
		wantRefused(t, rollout.ask(t, "PATCH", guarded+"?fieldManager=fleet&force=true", apply, applied), "may not change labels of")
		wantRefused(t, impersonating.ask(t, "PATCH", guarded, merge, `{"metadata": {"labels": {"app": "x"}}}`), "system:serviceaccount:shop:podsignal-rollout may not change labels of")
	})

	t.Run("other requests", func(t *testing.T) {
		created := pod("{}", simple)
		created["metadata"].(object)["name"] = "created"
		binding := object{"apiVersion": "v1", "kind": "Binding", "metadata": object{"name": "guarded"}, "target": object{"kind": "Node", "name": "x"}}
		eviction := object{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": object{"name": "guarded", "namespace": "privileged"}}
		for _, test := range []struct {
			method, path, kind string
			body               any
			why                string
		}{
			{"POST", path(created), "application/json", created, "may not CREATE pods: "},
			{"PATCH", strings.Replace(guarded, "guarded", "created", 1) + "?fieldManager=fleet", apply, created, "may not CREATE pods: "},
			{"DELETE", guarded, "application/json", object{}, "may not DELETE pods: "},
			{"DELETE", path(created), "application/json", object{}, "may not DELETE pods: "},
			{"PATCH", guarded + "/status", merge, `{"metadata": {"annotations": {"podsignal/synced-at": "x"}}, "status": {"phase": "Failed"}}`, "may not UPDATE pods/status: "},
			{"PATCH", guarded + "/resize", strategic, `{"spec": {"containers": [{"name": "podsignal", "resources": {"requests": {"cpu": "2"}}}]}}`, "may not UPDATE pods/resize: "},
			{"PATCH", guarded + "/ephemeralcontainers", strategic, `{"spec": {"ephemeralContainers": [{"name": "e", "image": "e"}]}}`, "may not UPDATE pods/ephemeralcontainers: "},
			{"POST", guarded + "/eviction", "application/json", eviction, "may not CREATE pods/eviction: "},
			{"POST", guarded + "/binding", "application/json", binding, "may not CREATE pods/binding: "},
			{"POST", guarded + "/attach?container=nginx", "application/json", "", "may not CONNECT pods/attach: "},
			{"POST", guarded + "/portforward?ports=80", "application/json", "", "may not CONNECT pods/portforward: "},
			{"GET", guarded + "/proxy/", "application/json", "", "may not CONNECT pods/proxy: "},
		} {
			for _, a := range []as{sync, rollout, send, status} {
				wantRefused(t, a.ask(t, test.method, test.path, test.kind, test.body), test.why)
			}
		}
	})

	t.Run("commands", func(t *testing.T) {
		// exec asks for it without an upgrade of the connection, and the pod is on no node: what is
		// admitted fails for that.
		exec := func(a as, method, more, container string, command ...string) answer {
			query := url.Values{"command": command, "stdout": {"true"}}
			if container != "" {
				query.Set("container", container)
			}
			return a.ask(t, method, guarded+"/exec?"+query.Encode()+more, "application/json", "")
		}
		wantRun := func(a answer) {
			t.Helper()
			if a.code != http.StatusBadRequest || !strings.Contains(a.body, "does not have a host assigned") {
				t.Errorf("%d %s, want it admitted", a.code, a.body)
			}
		}
		for _, method := range []string{"GET", "POST"} {
			for _, a := range []as{sync, rollout, status, impersonating} {
				wantRun(exec(a, method, "", "podsignal", "/podsignal", "status", "--json"))
				wantRun(exec(a, method, "", "podsignal", "/podsignal-bin/podsignal", "status"))
				wantRefused(t, exec(a, method, "", "podsignal", "/podsignal", "send"), "may not run /podsignal send: only podsignal status")
			}
			wantRun(exec(send, method, "", "podsignal", "/podsignal", "send", "--signal", "USR1"))
			wantRefused(t, exec(send, method, "", "podsignal", "/podsignal", "status"), "may not run /podsignal status: only podsignal send")

			for _, command := range [][]string{
				{"sh"},
				{"/bin/sh", "-c", "/podsignal status"},
				{"/podsignal"},
				{"/podsignal", "check"},
				{"/podsignal", "install", "/tmp"},
				{"/podsignal", "inject"},
				{"/podsignal", "", "status"},
				{"/podsignal", "Status"},
				{"/podsignal", "status "},
				{"/podsignal status"},
				{"podsignal", "status"},
				{"./podsignal", "status"},
				{"/tmp/podsignal", "status"},
				{"//podsignal", "status"},
				{"/podsignal/../bin/sh", "status"},
				{"status", "/podsignal"},
				{"", "status"},
			} {
				wantRefused(t, exec(sync, method, "", "podsignal", command...), "may not run "+strings.Join(command, " ")+": only podsignal status")
			}
			for _, container := range []string{"nginx", "podsignal2", "Podsignal", ""} {
				wantRefused(t, exec(sync, method, "", container, "/podsignal", "status"), "may not run commands in the container "+container+": only in podsignal")
			}
			for _, more := range []string{"&stdin=true", "&tty=true", "&stdin=true&tty=true"} {
				wantRefused(t, exec(sync, method, more, "podsignal", "/podsignal", "status"), "may not use stdin or a terminal")
			}
			wantRun(exec(sync, method, "&stdin=false&tty=false&stderr=true", "podsignal", "/podsignal", "status"))
		}
		wantRun(exec(ci, "GET", "", "nginx", "sh"))
	})

	t.Run("others", func(t *testing.T) {
		for _, a := range []as{admin, ci} {
			wantOK(t, a.ask(t, "PATCH", guarded, merge, `{"metadata": {"labels": {"by": "others"}, "annotations": {"x": "y"}}}`))
		}
		wantOK(t, sync.ask(t, "PATCH", "/api/v1/namespaces/privileged", merge, `{"metadata": {"labels": {"by": "sync"}}}`)) // no pod: its roles decide
		for _, name := range []string{"podsignal-sync", "system:serviceaccount:podsignal-sync", "x:system:serviceaccount:shop:podsignal-sync", "system:serviceaccount:shop:podsignal-syncs", "system:serviceaccount:shop:a:podsignal-sync"} {
			s.bind(t, "impersonated", "cluster-admin", user(name))
			s.wait(t, name, func() string { // roles take a moment, too
				a := as{s, "admission", name}.ask(t, "PATCH", guarded+"?dryRun=All", merge, `{"metadata": {"labels": {"a": "b"}}}`)
				if a.code != http.StatusOK {
					return a.body
				}
				return ""
			})
		}
	})

	// README.md says how.
	t.Run("another account", func(t *testing.T) {
		content, err := os.ReadFile(fleet + "README.md")
		if err != nil {
			t.Fatal(err)
		}
		const added = " || request.userInfo.username == 'ci@example.com'"
		if !strings.Contains(string(content), strings.TrimSpace(added)) {
			t.Fatalf("README.md does not say how to add one:%s", added)
		}
		for _, o := range documents(t, fleet+"guard.yaml") {
			if spec := o["spec"].(object); spec["matchConditions"] != nil {
				condition := spec["matchConditions"].([]any)[0].(object)
				condition["expression"] = strings.TrimSpace(condition["expression"].(string)) + added
			}
			s.apply(t, o)
		}
		s.bind(t, "impersonated", "cluster-admin", user("ci@example.com"))
		other := as{s, "admission", "ci@example.com"}
		s.wait(t, "the new guard", func() string {
			a := other.ask(t, "PATCH", guarded+"?dryRun=All", merge, `{"metadata": {"labels": {"a": "b"}}}`)
			if a.code != http.StatusForbidden || !strings.Contains(a.body, "ci@example.com may not change labels of a pod") {
				return a.body
			}
			return ""
		})
		for _, key := range []string{"podsignal/synced-at", "podsignal/approved"} {
			wantOK(t, other.ask(t, "PATCH", guarded, merge, annotated(key, "now")))
		}
		for _, command := range []string{"status", "send"} {
			a := other.ask(t, "GET", guarded+"/exec?container=podsignal&command=/podsignal&command="+command, "application/json", "")
			if !strings.Contains(a.body, "does not have a host assigned") {
				t.Errorf("%s: %s", command, a.body)
			}
		}
	})
}

// testRights asks the API server what the roles give: what each command needs, and not what would
// be more than the guard can narrow.
func testRights(t *testing.T, s *server) {
	for _, o := range documents(t, fleet+"rights.yaml") {
		s.apply(t, o)
	}
	read := []string{
		"get pods", "list pods", "create pods/exec", "get pods/exec", "get deployments.apps", "list deployments.apps", "get statefulsets.apps",
		"get daemonsets.apps", "get replicasets.apps", "get jobs.batch", "list jobs.batch", "get cronjobs.batch", "get services", "get replicationcontrollers",
	}
	wanted := map[string][]string{
		"podsignal-status":  append([]string{"get configmaps"}, read...),
		"podsignal-sync":    append([]string{"get configmaps", "watch pods", "patch pods"}, read...),
		"podsignal-rollout": append([]string{"get configmaps", "watch pods", "patch pods"}, read...),
		"podsignal-send":    read,
		"podsignal-secrets": {"get secrets"},
	}
	asked := []string{
		"create pods", "update pods", "delete pods", "patch pods/status", "patch pods/resize", "patch pods/ephemeralcontainers", "create pods/attach",
		"create pods/portforward", "create pods/eviction", "create pods/binding", "get pods/log", "list secrets", "watch secrets", "list configmaps",
		"patch configmaps", "patch deployments.apps", "create jobs.batch", "get nodes/proxy", "create serviceaccounts/token", "impersonate serviceaccounts",
		"create clusterrolebindings.rbac.authorization.k8s.io", "patch validatingadmissionpolicies.admissionregistration.k8s.io", "get nodes",
	}
	for _, rights := range wanted {
		asked = append(asked, rights...)
	}
	slices.Sort(asked)
	asked = slices.Compact(asked)
	allowed := func(account, right string) bool {
		t.Helper()
		verb, resource, _ := strings.Cut(right, " ")
		resource, sub, _ := strings.Cut(resource, "/")
		resource, group, _ := strings.Cut(resource, ".")
		a := s.request(t, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", object{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": object{
				"user":               account,
				"resourceAttributes": object{"namespace": "privileged", "name": "x", "verb": verb, "group": group, "resource": resource, "subresource": sub},
			},
		})
		status, ok := a.object["status"].(object)
		if !ok {
			t.Fatal(a.body)
		}
		return status["allowed"] == true
	}
	for role, rights := range wanted {
		s.serviceAccount(t, "of-"+role, role)
		account := fmt.Sprint("system:serviceaccount:privileged:of-", role)
		s.wait(t, role, func() string {
			if !allowed(account, rights[0]) {
				return rights[0]
			}
			return ""
		})
		for _, right := range asked {
			if got, want := allowed(account, right), slices.Contains(rights, right); got != want {
				t.Errorf("%s: %s is allowed: %v, want %v", role, right, got, want)
			}
		}
	}
}
