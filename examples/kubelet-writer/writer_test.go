// Package writer_test has the kubelet's own code write volumes, with podsignal beside a
// program that records what it loads.
//
// It is a module of its own, so that Kubernetes stays out of podsignal's go.mod. Its
// version of Kubernetes is also that of the cluster that .ci/cluster builds.
//
//	WRITES  how often each test writes, 50
//	SEED    repeats the choices of a run that has failed
package writer_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"k8s.io/kubernetes/pkg/volume/util"
)

func TestMain(m *testing.M) {
	if os.Getenv("RECORDER") != "" {
		record(filepath.SplitList(os.Getenv("RECORDER")))
		return
	}
	os.Exit(m.Run())
}

func TestOneVolume(t *testing.T)    { testWriter(t, 1) }
func TestThreeVolumes(t *testing.T) { testWriter(t, 3) }

// testWriter writes random payloads into one of so many volumes, or into several at once,
// at random times. After each pause the program must have loaded what was written last,
// with no more signals than there were writes.
func testWriter(t *testing.T, count int) {
	writes := number(t, "WRITES", 50)
	seed := number(t, "SEED", rand.Uint64N(1_000_000))
	t.Logf("SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, uint64(count)))

	volumes := make([]*volume, count)
	for i := range volumes {
		volumes[i] = newVolume(t)
		volumes[i].write(t, payload(random, 0))
	}
	p := start(t, volumes)

	written, pauses := 0, 0
	for n := 1; written < int(writes); n++ {
		for _, i := range random.Perm(count)[:1+random.IntN(count)] {
			volumes[i].write(t, payload(random, n))
			written++
		}
		switch random.IntN(5) {
		case 0: // a pause
			p.waitLoaded(t, volumes, written)
			pauses++
		case 1, 2:
			time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
		default: // at full speed
		}
	}
	p.waitLoaded(t, volumes, written)
	p.wantQuiet(t, written)
	t.Logf("%d writes, %d pauses, %d signals", written, pauses, p.signals)
}

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: %v", variable, value, err)
	}
	return n
}

// A volume is a folder in which the kubelet's code writes.
type volume struct {
	path    string
	writer  *util.AtomicWriter
	content map[string]string // by the path below it
}

func newVolume(t *testing.T) *volume {
	t.Helper()
	path := t.TempDir()
	writer, err := util.NewAtomicWriter(path, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return &volume{path: path, writer: writer}
}

func (v *volume) write(t *testing.T, content map[string]string) {
	t.Helper()
	files := make(map[string]util.FileProjection, len(content))
	for path, data := range content {
		files[path] = util.FileProjection{Data: []byte(data), Mode: 0o644}
	}
	// The kubelet changes owner and mode here, if the pod has an fsGroup.
	if err := v.writer.Write(files, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	v.content = content
}

// paths are what a ConfigMap's keys, or the items of a volume, may be.
var paths = []string{
	"plain.conf", ".hidden", "with space.conf", "-dash", "CAPITAL_1.2", "ünïcode",
	"folder/nested.conf", "folder/deeper/x y", "folder/.hidden", ".folder/in a hidden one",
	"a/b/c/d/e/f", "~", "#comment#",
}

// payload is that of the n-th write: no two are the same.
func payload(random *rand.Rand, n int) map[string]string {
	content := map[string]string{"written": fmt.Sprint(n)}
	for _, path := range paths {
		switch random.IntN(4) {
		case 0: // is not there
		case 1:
			content[path] = ""
		case 2:
			content[path] = "always the same"
		default:
			content[path] = fmt.Sprintf("%d of %d", random.Uint64(), n)
		}
	}
	if random.IntN(8) == 0 { // a big one
		for i := range 200 {
			content[fmt.Sprintf("many/%d", i)] = fmt.Sprint(n, i)
		}
	}
	return content
}

func contents(volumes []*volume) []map[string]string {
	var all []map[string]string
	for _, v := range volumes {
		all = append(all, v.content)
	}
	return all
}

func same(a, b []map[string]string) bool {
	return slices.EqualFunc(a, b, func(x, y map[string]string) bool { return maps.Equal(x, y) })
}
