package logging

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/podsignal/podsignal/cmd/internal/logtest"
)

// It is reported in the format of the log, whatever its level.
func TestReportDropped(t *testing.T) {
	for _, test := range []struct {
		least  slog.Level
		asJSON bool
		want   string
	}{
		{slog.LevelInfo, false, `level=WARN msg="log lines were dropped: nobody read them" lines=7`},
		{slog.LevelError, true, `"level":"ERROR","msg":"log lines were dropped: nobody read them","lines":7}`},
	} {
		var out logtest.Buffer
		reportDropped(logTo(&out, test.least, test.asJSON), test.least, 7)
		if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, test.want) {
			t.Errorf("it says %q, want %q at the end", got, test.want)
		}
	}
}
