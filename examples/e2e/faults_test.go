//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// testPodsignalKilled kills podsignal while a change waits to be told.
func testPodsignalKilled(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.set(object{"MIN_INTERVAL": "1h"})
	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "hello from nginx")
	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye from nginx")
	a.waitOutcomes(before, "replaced")

	a.edit("goodbye", "welcome")
	a.waitFile(before, "nginx", "/etc/nginx/conf.d/site.conf", "welcome")
	a.waitServed(before, "goodbye from nginx")
	a.kill(before, "KILL", "podsignal")
	a.waitRestarted(before, "podsignal")
	a.waitServed(before, "welcome from nginx")
	a.waitOutcomes(before, "replaced")
	a.wantRestarted("podsignal", before)
}

// testProgramKilled kills nginx, and changes its configuration while it is away.
func testProgramKilled(t *testing.T, c *cluster, name string) {
	a := start(t, c, read(t, "nginx", name))
	before := a.pods()[0]
	a.waitLog(before, "podsignal", `msg="process found"`)
	a.kill(before, "KILL", "nginx")
	a.waitRestarted(before, "nginx")
	a.waitLog(before, "podsignal", `msg="process found"[^\n]*\n(.*\n)*.*msg="process found"`)
	a.waitServed(before, "hello from nginx")

	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye from nginx")
	a.waitOutcomes(before, "replaced")
	a.wantRestarted("nginx", before)
}

// testRollout replaces the pods while the configuration changes.
func testRollout(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.workload()["spec"].(object)["replicas"] = 3
	a := start(t, c, m)
	old := a.pods()
	const changes = 8
	is := "hello"
	for i := range changes {
		if i == 2 {
			a.run(t, nil, "rollout", "restart", "deployment/"+name)
		}
		was := is
		is = fmt.Sprint("change-", i)
		a.edit(was, is)
		if i%2 == 0 {
			a.waitServedBySome(is + " from nginx")
		}
	}
	a.waitRollout()
	after := a.pods()
	for _, p := range after {
		a.waitServed(p, is+" from nginx")
	}
	for _, p := range a.pods() {
		for _, was := range old {
			if p.UID == was.UID {
				t.Errorf("%s was not replaced", p.Name)
			}
		}
		log, err := a.log(p, "podsignal")
		if signals, _ := told(log); err != nil || signals > changes {
			t.Errorf("%d signals for %d changes (%v):\n%s", signals, changes, err, log)
		}
	}
	a.wantPods(after...)
}

// waitServedBySome waits until any pod answers with want: a rollout takes others away.
func (a *app) waitServedBySome(want string) {
	a.Helper()
	a.wait(fmt.Sprintf("the answer %q", want), func() (bool, string) {
		var last string
		pods, _ := a.list()
		for _, p := range pods {
			answer, err := a.get(p, "/")
			if err == nil && strings.TrimSpace(answer) == want {
				return true, ""
			}
			last = fmt.Sprintf("%q of %s (%v)", answer, p.Name, err)
		}
		return false, last
	})
}
