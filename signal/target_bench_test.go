package signal

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// crowd is a script that starts 90 processes. They end when their input does.
const crowd = `exec 3<&0
for ten in 1 2 3 4 5 6 7 8 9; do
	for one in 0 1 2 3 4 5 6 7 8 9; do
		cat <&3 >/dev/null &
	done
done
echo ready
wait
`

// BenchmarkFind searches all processes, at least 90, for one that is known.
func BenchmarkFind(b *testing.B) { benchmarkFind(b, (*Finder).Find) }

// BenchmarkFindNew searches them a second time, when of what is known only the name is read. All
// processes count as old enough for that.
func BenchmarkFindNew(b *testing.B) { benchmarkFind(b, (*Finder).FindNew) }

// BenchmarkFindStarted only lists what is known.
func BenchmarkFindStarted(b *testing.B) { benchmarkFind(b, (*Finder).FindStarted) }

func benchmarkFind(b *testing.B, find func(*Finder, context.Context) ([]*Target, error)) {
	script(b, unique("crowd%s"), crowd)
	name := unique("known%s")
	script(b, name, scriptTraps)
	f := finderOf(name)
	f.sys.now = func() time.Duration { return procfs.SinceBoot() + settled }
	if _, err := f.Find(b.Context()); err != nil {
		b.Fatal(err)
	}
	processes, err := f.sys.list(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := find(f, b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	// The number varies, as other processes of the machine come and go.
	each := b.Elapsed() / time.Duration(b.N*len(processes))
	b.ReportMetric(float64(each), "ns/process")
	b.ReportMetric(float64(len(processes)), "processes")
}

// BenchmarkReady measures the cost of a signal to a known target before it is sent.
func BenchmarkReady(b *testing.B) {
	name := unique("known%s")
	script(b, name, scriptTraps)
	targets, err := finderOf(name).Find(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := targets[0].Ready(unix.SIGHUP); err != nil {
			b.Fatal(err)
		}
	}
}
