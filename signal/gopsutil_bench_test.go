package signal

import (
	"os"
	"testing"

	"github.com/shirou/gopsutil/v3/process"
)

// BenchmarkOfOneProcess compares gopsutil's cost for each field of a process with that of the
// readers here.
func BenchmarkOfOneProcess(b *testing.B) {
	pid := os.Getpid()
	p := func() *process.Process { return &process.Process{Pid: int32(pid)} } // a new one each time, as it caches
	for _, field := range []struct {
		name string
		read func() error
	}{
		{"gopsutil/NewProcess", func() error { _, err := process.NewProcess(int32(pid)); return err }},
		{"gopsutil/Name", func() error { _, err := p().Name(); return err }},
		{"gopsutil/Ppid", func() error { _, err := p().Ppid(); return err }},
		{"gopsutil/CreateTime", func() error { _, err := p().CreateTime(); return err }},
		{"gopsutil/CmdlineSlice", func() error { _, err := p().CmdlineSlice(); return err }},
		{"here/stat", func() error { _, err := readStat(pid); return err }},
		{"here/status", func() error { _, err := readStatus(procPath(pid, "status")); return err }},
		{"here/cmdline", func() error { _, err := cmdline(pid); return err }},
	} {
		b.Run(field.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := field.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("gopsutil/Pids", func(b *testing.B) {
		b.ReportAllocs()
		pids := 0
		for b.Loop() {
			all, err := process.Pids()
			if err != nil {
				b.Fatal(err)
			}
			pids = len(all)
		}
		b.ReportMetric(float64(pids), "processes")
	})
}
