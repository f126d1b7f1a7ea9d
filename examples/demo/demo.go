package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

const (
	// A process that starts right when its files change may have read the old
	// ones: podsignal would signal it once to be sure, and spoil the first figure.
	beforeStart = 100 * time.Millisecond
	// A little over the defaults of MIN_INTERVAL and START_GRACE, so that no
	// figure contains a wait for them.
	beforeSwap = 1100 * time.Millisecond
)

// run plays the demo. An error says what did not happen, and what was logged.
func run(ctx context.Context, podsignal, greeter, nginx string) error {
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.clear()
	if err := play(ctx, s, podsignal, greeter, nginx); err != nil {
		return s.explain(err)
	}
	return nil
}

func play(ctx context.Context, s *stage, podsignal, greeter, nginx string) error {
	volume := filepath.Join(s.dir, "volume")
	target, err := newTarget(s.dir, volume, greeter, nginx)
	if err != nil {
		return err
	}
	before := "Hello"
	if err := volumetest.Write(volume, target.files(before)); err != nil {
		return err
	}
	if err := s.pause(ctx, beforeStart); err != nil {
		return err
	}

	app, err := s.start(target.name, target.command, target.env...)
	if err != nil {
		return err
	}
	// In a pod, FILE and PROCESS are enough. This machine may run more programs of
	// that name: CMDLINE picks the one that has the demo's folder in its arguments.
	env := []string{"FILE=" + volume, "PROCESS=" + target.name, "CMDLINE=" + filepath.Base(s.dir)}
	sidecar, err := s.start("podsignal", []string{podsignal}, env...)
	if err != nil {
		return err
	}

	fmt.Printf("A ConfigMap volume as the kubelet writes it, %s, and podsignal beside it:\n\n", target.about)
	fmt.Printf("  %-9s  pid %-7d  %s\n", target.name, app.pid(), target.url)
	fmt.Printf("  podsignal  pid %-7d  %s\n\n", sidecar.pid(), strings.Join(env, "\n"+strings.Repeat(" ", 26)))

	err = s.await(ctx, "podsignal watches", func() bool { return strings.Contains(sidecar.said(), "msg=watching") })
	if err != nil {
		return err
	}
	err = s.await(ctx, target.name+" serves", func() bool { return get(ctx, target.url) == before })
	if err != nil {
		return err
	}

	fmt.Printf("  SWAP  SERVED BEFORE  SERVED AFTER   WITHIN  BY\n")
	for i, after := range []string{"Bonjour", "Hola", "Ciao"} {
		if err := s.pause(ctx, beforeSwap); err != nil {
			return err
		}
		took, err := swap(ctx, s, volume, target, after)
		if err != nil {
			return err
		}
		// await has seen that the process that was started here has not ended, and
		// while it has not, its pid is its own.
		fmt.Printf("  %-4d  %-13s  %-12s  %4.1f ms  %s, still pid %d\n",
			i+1, before, after, took.Seconds()*1000, target.name, app.pid())
		before = after
	}
	signals := func() int { return strings.Count(sidecar.said(), "msg=signalled") }
	err = s.await(ctx, "podsignal logs three signals", func() bool { return signals() >= 3 })
	if err != nil {
		return err
	}
	if n := signals(); n > 3 {
		return fmt.Errorf("podsignal sent %d signals for three swaps", n)
	}
	fmt.Printf("\nThree swaps, three signals, no restart.\n")
	return nil
}

// swap makes the volume show the greeting after, and returns the time from the
// rename of ..data to the first answer that has it.
func swap(ctx context.Context, s *stage, volume string, target target, after string) (time.Duration, error) {
	update, err := volumetest.Begin(volume, target.files(after))
	if err != nil {
		return 0, err
	}
	swapped := time.Now()
	if err := update.Swap(); err != nil {
		return 0, err
	}
	if err := update.Finish(); err != nil {
		return 0, err
	}
	err = s.await(ctx, target.name+" serves "+after, func() bool { return get(ctx, target.url) == after })
	return time.Since(swapped), err
}

// client opens a connection for each request, as a new client would: a
// connection that is kept may belong to a worker that nginx is about to end.
var client = http.Client{
	Timeout:   time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// get returns what url serves, or what went wrong: either is compared with a greeting.
func get(ctx context.Context, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
