package main

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/signal/podtest"
)

func TestMain(m *testing.M) {
	podtest.DefaultSignals()
	m.Run()
}

// TestDemo runs what `make demo` runs, against each target.
func TestDemo(t *testing.T) {
	bin := t.TempDir() + "/"
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/podsignal", "../greeter", ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	demo := func(t *testing.T, podsignal, nginx string) (string, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		pod, err := podtest.New()
		if err != nil {
			t.Fatal(err)
		}
		defer pod.Close()
		cmd := exec.CommandContext(ctx, bin+"demo", "-podsignal", podsignal, "-greeter", bin+"greeter", "-nginx", nginx)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := pod.Start(cmd); err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		return out.String(), err
	}
	succeeds := func(t *testing.T, nginx string) {
		t.Helper()
		out, err := demo(t, bin+"podsignal", nginx)
		if err != nil || !strings.Contains(out, "Three swaps, three signals, no restart.") {
			t.Errorf("%v\n%s", err, out)
		}
	}

	t.Run("nginx", func(t *testing.T) {
		t.Parallel()
		nginx := installedNginx()
		if nginx == "" {
			t.Skip("install nginx (Debian: apt-get install nginx)")
		}
		succeeds(t, nginx)
	})
	t.Run("greeter", func(t *testing.T) {
		t.Parallel()
		succeeds(t, "")
	})
	t.Run("podsignal that ends", func(t *testing.T) {
		t.Parallel()
		out, err := demo(t, bin+"greeter", "") // without CONFIG it says so and ends
		if err == nil || !strings.Contains(out, "podsignal has ended: exit status 1") || !strings.Contains(out, "CONFIG is not set") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
