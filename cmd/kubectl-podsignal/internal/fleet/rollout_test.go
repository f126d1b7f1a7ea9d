package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/apitest"
)

// newFleet is all pods of a server.
func newFleet(t *testing.T, s *apitest.Server) *Fleet {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := genericclioptions.NewConfigFlags(false)
	*flags.KubeConfig, *flags.APIServer, *flags.Namespace = kubeconfig, s.URL, "default"
	f, err := New(t.Context(), &Query{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rollOut does what Rollout does, but has each pod stay ready for less.
func rollOut(ctx context.Context, f *Fleet, size int) ([]*Report, error) {
	return (&run{fleet: f, plan: plan{timeout: 5 * time.Second, approve: true, stay: 500 * time.Millisecond, batch: batches(size), show: func(*Progress) {}}}).do(ctx)
}

// inBatches has the kubelets deliver when as many pods have been approved as a batch is to have, and
// checks that all of the batches before are live by then.
func inBatches(t *testing.T, s *apitest.Server, d *apitest.Deployment, live int, batches ...int) {
	var (
		mu       sync.Mutex
		approved []*corev1.Pod
		took     = s.Took
		content  = d.Wanted()
	)
	s.Took = func(pod *corev1.Pod) {
		mu.Lock()
		defer mu.Unlock()
		running := 0
		for _, is := range d.Running() {
			if is == content {
				running++
			}
		}
		if len(batches) == 0 || running != live {
			t.Errorf("%s is approved when %d pods are live, and %v are to come", pod.Name, running, batches)
			return
		}
		if approved = append(approved, pod); len(approved) < batches[0] {
			return
		}
		live, batches = live+batches[0], batches[1:]
		for _, pod := range approved {
			took(pod)
		}
		approved = nil
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ size, pods, want int }{{0, 1, 1}, {0, 2, 1}, {0, 5, 2}, {0, 1000, 250}, {7, 9, 7}} {
		if got := batches(test.size)(false, test.pods); got != test.want {
			t.Errorf("of %d pods, with a size of %d: %d, want %d", test.pods, test.size, got, test.want)
		}
	}
	for size, want := range map[int]int{0: 1, 3: 3} {
		if got := batches(size)(true, 100); got != want {
			t.Errorf("at first, with a size of %d: %d, want %d", size, got, want)
		}
	}
}

// TestRolloutInBatches: a batch is approved when all of the one before are live, and stay ready.
func TestRolloutInBatches(t *testing.T) {
	t.Parallel()
	for size, want := range map[int][]int{0: {1, 3, 3, 2}, 4: {4, 4, 1}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 9)
			d.Hold, d.Kubelet = true, 200*time.Millisecond
			d.Set("second")
			inBatches(t, s, d, 0, want...)
			began := time.Now()
			all, err := rollOut(t.Context(), newFleet(t, s), size)
			if err != nil || !Summarize(all).Live() || len(all) != 9 {
				t.Fatalf("%v, %v", Summarize(all), err)
			}
			if least := time.Duration(len(want)) * 700 * time.Millisecond; time.Since(began) < least {
				t.Errorf("it took %v, less than %v", time.Since(began), least)
			}
		})
	}
}

// TestRolloutOfLive: pods that run it already take no place in a batch: the first that is approved is
// alone.
func TestRolloutOfLive(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 4)
	d.Hold = true
	d.Set("second")
	d.AddPod("web-") // the first by name
	inBatches(t, s, d, 1, 1, 2, 1)
	all, err := newFleet(t, s).Rollout(t.Context(), Rollout{Timeout: time.Minute}, func(*Progress) {})
	if err != nil || !Summarize(all).Live() || len(all) != 5 {
		t.Errorf("%v, %v", Summarize(all), err)
	}
}

// TestRolloutStops: none is approved after one that does not become live and stay ready.
func TestRolloutStops(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]Verdict{"refused": Refused, "invalid": Invalid, "died": Died, "unready": Pending} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			d := apitest.NewDeployment(s, "web", 9)
			d.Hold = true
			d.Outcome = func(pod, _ string) string {
				if pod == "web-0002" {
					return outcome
				}
				return "replaced"
			}
			d.Set("second")
			all, err := rollOut(t.Context(), newFleet(t, s), 0)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]Verdict)
			for _, r := range all {
				got[r.Pod.Name] = r.Verdict
			}
			if diff := cmp.Diff(map[string]Verdict{"web-0000": Live, "web-0001": Live, "web-0002": want, "web-0003": Live}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for name, running := range d.Running() {
				if name > "web-0003" && running != "first" {
					t.Errorf("%s runs %s", name, running)
				}
			}
		})
	}
}

// TestInterrupted: what has begun is left as it is, and nothing hangs.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 3)
	d.Deaf["web-0001"] = true
	d.Set("second")
	ctx, cancel := context.WithCancel(t.Context())
	took := s.Took
	s.Took = func(pod *corev1.Pod) {
		took(pod)
		time.AfterFunc(500*time.Millisecond, cancel)
	}
	all, err := newFleet(t, s).Sync(ctx, time.Minute, func(*Progress) {})
	if err == nil {
		t.Errorf("%v, and no error", Summarize(all))
	}
}

// TestDroppedWatch: a server that ends watches, as it does now and then, is asked again.
func TestDroppedWatch(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 2)
	d.Deaf["web-0001"] = true
	d.Set("second")
	took, once := s.Took, sync.Once{}
	s.Took = func(pod *corev1.Pod) {
		took(pod)
		once.Do(func() {
			s.Drop()
			gone := &corev1.Pod{ObjectMeta: pod.ObjectMeta}
			gone.Name = "web-0001"
			s.Delete(gone)
		})
	}
	all, err := newFleet(t, s).Sync(t.Context(), 30*time.Second, func(*Progress) {})
	if got := Summarize(all); err != nil || got.By[Deleted] != 1 || got.By[Live] != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestRolloutUnread: without the right to read what is wanted, one is approved at first all the same,
// and no other if it rejects that.
func TestRolloutUnread(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 5)
	d.Hold = true
	d.Outcome = func(string, string) string { return "refused" }
	d.Set("broken")
	s.Deny("get configmaps")
	all, err := newFleet(t, s).Rollout(t.Context(), Rollout{Timeout: time.Minute}, func(*Progress) {})
	if stopped, ok := errors.AsType[*StoppedError](err); !ok || stopped.Untouched != 4 {
		t.Fatalf("the error is %v", err)
	}
	got := make(map[string]Verdict)
	for _, r := range all {
		got[r.Pod.Name] = r.Verdict
	}
	if got["web-0000"] != Refused || Summarize(all).By[Refused] != 1 {
		t.Errorf("%v", got)
	}
	for name := range d.Running() {
		pod := apitest.Get(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
		if _, is := pod.Annotations[approvedKey]; is != (name == "web-0000") {
			t.Errorf("%s is approved: %v", name, is)
		}
	}
}

// TestRolloutRelapse: a pod that becomes unready while a later batch is on its way ends the rollout.
func TestRolloutRelapse(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{"while others are to come": "web-0003", "in the last batch": "web-0001"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apitest.New(t)
			replicas := map[string]int{"web-0003": 9, "web-0001": 2}[last]
			d := apitest.NewDeployment(s, "web", replicas)
			d.Hold = true
			took := s.Took
			s.Took = func(pod *corev1.Pod) {
				if pod.Name == "web-0001" {
					first := apitest.Get(s, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-0000"}})
					first.Status.Conditions[0].Status = corev1.ConditionFalse
					s.Put(first)
				}
				took(pod)
			}
			d.Set("second")
			all, err := rollOut(t.Context(), newFleet(t, s), 0)
			if err != nil {
				t.Fatal(err)
			}
			if first := all[0]; first.Verdict != Pending || first.Why() != "it became unready after its batch" {
				t.Errorf("%s: %s: %s", first.Pod.Name, first.Verdict, first.Why())
			}
			for name, running := range d.Running() {
				if (running == "second") != (name <= last) {
					t.Errorf("%s runs %s", name, running)
				}
			}
		})
	}
}

// TestTimeoutFromAnnotation: the time of a pod does not run before it has been asked, and annotated.
func TestTimeoutFromAnnotation(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 1)
	exec, once := s.Exec, sync.Once{}
	s.Exec = func(e *apitest.Exec) int {
		once.Do(func() { <-time.After(1500 * time.Millisecond) })
		return exec(e)
	}
	d.Set("second")
	all, err := newFleet(t, s).Sync(t.Context(), time.Second, func(*Progress) {})
	if got := Summarize(all); err != nil || !got.Live() {
		t.Errorf("%v, %v", got, err)
	}
}

// TestRolloutMeetsOther: a pod without HOLD that comes meanwhile is not annotated.
func TestRolloutMeetsOther(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	d := apitest.NewDeployment(s, "web", 1)
	d.Set("second")
	all, err := rollOut(t.Context(), newFleet(t, s), 0) // which looks for HOLD in no pod before
	if err != nil || s.Requests()["patch pods"] != 0 || len(all) != 1 || all[0].Verdict != Waiting {
		t.Errorf("%v, %v, %v", Summarize(all), err, s.Requests())
	}
}
