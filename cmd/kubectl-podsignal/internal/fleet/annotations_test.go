package fleet

import (
	"slices"
	"strings"
	"testing"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
)

// TestAnnotations: what is set is reserved for it in podsignal's list.
func TestAnnotations(t *testing.T) {
	for _, key := range []string{syncedKey, approvedKey} {
		name, ours := strings.CutPrefix(key, annotation.Prefix)
		if !ours || !slices.Contains(annotation.Reserved, name) {
			t.Errorf("%s is not in the list", key)
		}
	}
}
