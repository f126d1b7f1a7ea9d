package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// clients is how many ask for /status in a loop.
const clients = 20

// crowd is a run with and one without these clients, side by side.
func (b *bench) crowd(ctx context.Context, s shape) (rows, error) {
	pods, err := b.pods([]*contestant{listening, crowded}, s, steady...)
	defer end(pods)
	if err != nil {
		return nil, err
	}
	asking, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	var answers atomic.Int64
	for range clients {
		all.Go(func() {
			client := http.Client{Transport: new(http.Transport)} // with a connection of its own
			defer client.CloseIdleConnections()
			for asking.Err() == nil {
				if ask(asking, &client, "http://"+b.crowded+"/status") == nil {
					answers.Add(1)
				}
			}
		})
	}
	run, err := b.latency(ctx, pods)
	stop()
	all.Wait()
	if err == nil && answers.Load() == 0 {
		err = errors.New("no client got an answer")
	}
	return run, err
}

func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
