package logging

import (
	"log/slog"
	"strings"
	"testing"
	"time"

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

// Text is for people, and has units; what reads JSON wants a number, and needs to know its unit.
func TestDurations(t *testing.T) {
	for asJSON, want := range map[bool]string{false: " latency=1.5s", true: `,"latency_s":1.5}`} {
		var out logtest.Buffer
		logTo(&out, slog.LevelInfo, asJSON).Info("signalled", "latency", 1500*time.Millisecond)
		if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, want) {
			t.Errorf("JSON %v: %s, want %s at the end", asJSON, got, want)
		}
	}
}
