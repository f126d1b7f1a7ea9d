//go:build e2e

package e2e_test

import "testing"

func testNginx(t *testing.T, c *cluster, name string) {
	testReload(t, c, read(t, "nginx", name), "nginx")
}

func testNginxSecret(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.toSecret()
	testReload(t, c, m, "nginx")
}

func testHAProxy(t *testing.T, c *cluster, name string) {
	testReload(t, c, read(t, "haproxy", name), "HAProxy")
}

// testRestricted is in a namespace that admits only pods of the level restricted.
func testRestricted(t *testing.T, c *cluster, name string) {
	own := *c
	own.namespace += "-restricted"
	own.create(t, "restricted")
	testReload(t, &own, read(t, "nginx-unprivileged", name), "nginx")
}

// testReload changes the configuration of a program that keeps the old one if the new one
// is broken, breaks it, and puts it right.
func testReload(t *testing.T, c *cluster, m manifest, greeter string) {
	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "hello from "+greeter)

	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye from "+greeter)
	a.waitOutcomes(before, "replaced")

	a.edit("return", "retrun")
	a.waitOutcomes(before, "replaced", "refused")
	a.waitServed(before, "goodbye from "+greeter)

	a.edit("goodbye", "welcome")
	a.waitOutcomes(before, "replaced", "refused", "refused")
	a.edit("retrun", "return")
	a.waitServed(before, "welcome from "+greeter)
	a.waitOutcomes(before, "replaced", "refused", "refused", "replaced")
	a.wantPods(before)
}

// testSeveral changes what two programs read, one after the other.
func testSeveral(t *testing.T, c *cluster, name string) {
	a := start(t, c, read(t, "several", name))
	before := a.pods()[0]
	a.waitServed(before, "hello from nginx")

	a.edit("hello", "goodbye")
	a.waitServed(before, "goodbye from nginx")
	a.waitOutcomes(before, "replaced")
	a.waitLog(before, "podsignal", ` msg=signalled .*rule=nginx`)

	a.edit("default_pool_size = 10", "default_pool_size = 11")
	a.waitLog(before, "podsignal", ` msg=signalled .*rule=pgbouncer`)
	a.waitOutcomes(before, "replaced", "read")
	a.wantPods(before)
}

func testRestartInPlace(t *testing.T, c *cluster, name string) {
	a := start(t, c, read(t, "restart-in-place", name))
	before := a.pods()
	for _, pod := range before {
		a.waitLog(pod, "app", "^hello$")
	}

	a.edit("hello", "goodbye")
	for _, pod := range before {
		// The log of this run of the container, which begins with the new value.
		a.waitLog(pod, "app", "^goodbye$")
		// It has ended if its successor was not there within VERIFY.
		a.waitOutcomes(pod, "(restarted|ended)")
	}
	a.wantRestarted("app", before...)
}
