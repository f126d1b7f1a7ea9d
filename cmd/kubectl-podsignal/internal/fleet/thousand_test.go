package fleet

import (
	"cmp"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

// TestThousandPods: an API server is spared, however many pods there are: PODS of them, 1000.
func TestThousandPods(t *testing.T) {
	t.Parallel()
	replicas, err := strconv.Atoi(cmp.Or(os.Getenv("PODS"), "1000"))
	if err != nil {
		t.Fatal(err)
	}
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", replicas)
	d.Kubelet = time.Second
	d.Set("second")
	f := newFleet(t, s)
	var most uint64
	sampled := time.Now()
	began := time.Now()
	all, err := f.Sync(t.Context(), 2*time.Minute, func(*Progress) {
		if time.Since(sampled) > time.Second {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most, sampled = max(most, m.HeapInuse), time.Now()
		}
	})
	took := time.Since(began)
	if got := Summarize(all); err != nil || got.By[Live] != replicas {
		t.Fatalf("%v, %v", got, err)
	}
	requests := s.Requests()
	t.Logf("%d pods in %v: %v requests, at most %d in flight; %d MiB of heap, the simulation among it",
		replicas, took.Round(time.Second), requests, s.MostInFlight(), most>>20)
	if requests["patch pods"] != replicas || requests["watch pods"] != 1 || requests["get configmaps"] > 20 {
		t.Errorf("requests: %v", requests)
	}
	total := requests["create pods/exec"] + requests["patch pods"] + requests["get configmaps"]
	if rate := float64(total) / took.Seconds(); s.MostInFlight() > maxInFlight || rate > maxPerSecond+1 {
		t.Errorf("%d in flight, %.0f a second", s.MostInFlight(), rate)
	}
}
