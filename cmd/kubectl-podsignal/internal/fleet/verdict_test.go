package fleet

import (
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/sidecar"
)

// TestHeldReason: no approval helps where the file of HOLD cannot be read.
func TestHeldReason(t *testing.T) {
	for pending, want := range map[string]string{
		"":     "/podinfo/approved does not have its digest: use kubectl podsignal rollout",
		"held": "/podinfo/approved does not have its digest: use kubectl podsignal rollout",
		"held: /podinfo/approved does not have the digests of all paths":  "/podinfo/approved does not have its digest: use kubectl podsignal rollout",
		"held: reading /podinfo/approved: no such file: mount its volume": "reading /podinfo/approved: no such file: mount its volume",
		"held: /podinfo/approved has not been read yet":                   "/podinfo/approved has not been read yet",
	} {
		rule := Rule{Status: sidecar.Status{OnDisk: &sidecar.Digest{}, Hold: "/podinfo/approved", Held: time.Now(), Pending: pending}}
		if verdict, why := rule.judge(); verdict != Held || why != want {
			t.Errorf("%q: %s: %s", pending, verdict, why)
		}
	}
}
