package config

import (
	"log/slog"
	"syscall"
	"testing"

	"github.com/podsignal/podsignal/cmd/internal/reload"
)

// Whoever takes the signal is not a launcher; with a URL there is no signal to go by.
func TestFinderOptions(t *testing.T) {
	bySignal := &Rule{Process: "web", Signal: syscall.SIGUSR1}
	if got := bySignal.FinderOptions(slog.Default()).Signal; got != syscall.SIGUSR1 {
		t.Errorf("signal %v is looked for, want USR1", got)
	}
	byURL := &Rule{Process: "web", Signal: syscall.SIGHUP, Reload: &reload.Settings{}}
	if got := byURL.FinderOptions(slog.Default()).Signal; got != 0 {
		t.Errorf("signal %v is looked for where a URL is called, want none", got)
	}
}
