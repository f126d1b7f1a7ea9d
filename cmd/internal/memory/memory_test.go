package memory

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smaps are a few mappings, with the fields that matter and some others.
const smaps = `00400000-007ac000 r-xp 00000000 fe:00 1002                       /podsignal
Size:               3760 kB
Rss:                1408 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
007ac000-00b70000 r--p 003ac000 fe:00 1002                       /podsignal
Anonymous:             0 kB
Swap:                  0 kB
00b70000-00bce000 rw-p 00770000 fe:00 1002                       /podsignal
Anonymous:             0 kB
Swap:                  0 kB
00bce000-00bcf000 r--p 00770000 fe:00 1002                       /podsignal
Anonymous:             4 kB
Swap:                  0 kB
00bcf000-00bd0000 r--p 00771000 fe:00 1002                       /podsignal
Anonymous:             0 kB
Swap:                  4 kB
00bd0000-00bd1000 r--p 00772000 fe:00 1002                       /podsignal
Rss:                   4 kB
00bd1000-00bd2000 r--p 00000000 fe:00 1003                       /podsignal-old
Anonymous:             0 kB
Swap:                  0 kB
7ffd0000-7ffd1000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
Swap:                  0 kB
7ffe0000-7ffe1000 r--p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
7fff0000-7fff1000 r-xp 00773000 fe:00 1002                       /podsignal
Anonymous:             0 kB
Swap:                  0 kB
`

// What has been written to is kept, be it in memory or in swap, and what nothing is known of.
func TestUnwritten(t *testing.T) {
	want := []mapping{{0x400000, 0x7ac000}, {0x7ac000, 0xb70000}, {0x7fff0000, 0x7fff1000}}
	got := unwritten(strings.NewReader(smaps), "/podsignal")
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("mappings (-want +got):\n%s", diff)
	}
}

// forgetful tells how much of its binary is in memory, and uses what it has forgotten: its
// code, and the descriptions of its types, which a PIE has relocated at its start.
const forgetful = `package main

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/podsignal/podsignal/cmd/internal/memory"
)

type list struct {
	next *list
	any  any
}

// mapped is RssFile of /proc/self/status.
func mapped() (kib int) {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "RssFile:")
	fmt.Sscan(line, &kib)
	return kib
}

func main() {
	memory.TuneRuntime()
	var all *list
	before := mapped()
	if memory.DropStartupPages(); mapped() >= before {
		fmt.Println("nothing was forgotten of", before)
	}
	for round := range 3 {
		memory.DropStartupPages()
		for i := range 1000 {
			all = &list{all, map[string]any{fmt.Sprint(i): []any{i, time.Now(), reflect.TypeOf(i).String()}}}
		}
		runtime.GC()
		fmt.Fprintln(os.Stderr, round, reflect.TypeOf(*all).NumField())
	}
	fmt.Println("alive")
}
`

// A binary built as PIE outlives it, too. (podsignal itself would take minutes to build so.)
func TestDropStartupPages(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(forgetful), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// A package that is nowhere but in the overlay, of this module.
	at := filepath.Join(here, "forgetful")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(at, "main.go"): source,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"exe", "pie"} {
		t.Run(mode, func(t *testing.T) {
			binary := filepath.Join(dir, mode)
			build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay"),
				"-buildmode="+mode, "-o", binary, "./forgetful")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			out, err := exec.CommandContext(t.Context(), binary).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "alive\n") || strings.Contains(string(out), "nothing was forgotten") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

var last []byte // escapes to the heap

// leave leaves so much garbage behind.
func leave(size int) {
	for range size >> 10 {
		last = make([]byte, 1<<10)
	}
}

// Little garbage is left alone, and much is not.
func TestCollect(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nobody else collects
	runtime.GC()
	Collect() // takes note
	heap := func() int {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()

	leave(worthIt / 2)
	Collect()
	if got := heap() - before; got < worthIt/2 {
		t.Errorf("of %d bytes of garbage %d are left", worthIt/2, got)
	}

	leave(4 * worthIt)
	Collect()
	if got := heap() - before; got > worthIt {
		t.Errorf("of %d bytes of garbage %d are left", 4*worthIt, got)
	}
}
