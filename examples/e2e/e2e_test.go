//go:build e2e

// Package e2e_test runs the examples, and what is made of them, on the cluster of the
// current kubectl context.
package e2e_test

import "testing"

// cases run side by side, each with objects of its own name.
var cases = []struct {
	name string
	run  func(t *testing.T, c *cluster, name string)
}{
	// The examples, changed, broken and put right.
	{"nginx-configmap", testNginx},
	{"nginx-secret", testNginxSecret},
	{"haproxy", testHAProxy},
	{"several", testSeveral},
	{"restart-in-place", testRestartInPlace},
	{"restricted", testRestricted},

	// Volumes.
	{"file-unset", testFileUnset},
	{"projected", testProjected},
	{"items", testItems},
	{"two-volumes", testTwoVolumes},
	{"hundred-keys", testHundredKeys},
	{"subpath-program", testSubPathOfProgram},
	{"subpath-podsignal", testSubPathOfPodsignal},

	// Pods.
	{"same-name", testSameName},
	{"wrong-uid", testWrongUID},
	{"probes", testProbes},
	{"notify", testNotify},
	{"job", testJob},

	// Failures.
	{"podsignal-killed", testPodsignalKilled},
	{"program-killed", testProgramKilled},
	{"rollout", testRollout},

	// Ways to add it.
	{"inject", testInject},
	{"inject-validate", testInjectValidate},
	{"kustomize", testKustomize},
	{"admission", testAdmission},

	// The fleet.
	{"sync", testSync},
	{"fleet", testFleet},
	{"hold", testHold},
	{"digests", testDigests},
}

func TestE2E(t *testing.T) {
	c := connect(t)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, c, test.name)
		})
	}
}
