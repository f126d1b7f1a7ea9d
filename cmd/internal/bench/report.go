package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// machine is where and when this was.
func machine() string {
	var name unix.Utsname
	_ = unix.Uname(&name) // it has no reason to fail
	model := "an unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	load, _ := os.ReadFile("/proc/loadavg") // empty where there is none
	load1, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s, Linux %s, %d × %s, load %s, %s",
		time.Now().Format(time.DateOnly), unix.ByteSliceToString(name.Release[:]), runtime.NumCPU(), model, load1, runtime.Version())
}

func (b *bench) section(format string, args ...any) {
	fmt.Fprintf(b.out, "\n### "+format+"\n\n", args...)
}

// table prints Markdown that is also fit to be read as it is.
func (b *bench) table(header string, lines ...[]string) {
	lines = append([][]string{strings.Split(header, "|")}, lines...)
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range lines {
		for i, cell := range line {
			fmt.Fprintf(b.out, "| %-*s ", widths[i], cell)
		}
		fmt.Fprintln(b.out, "|")
		if n > 0 {
			continue
		}
		for _, width := range widths {
			fmt.Fprintf(b.out, "|%s", strings.Repeat("-", width+2))
		}
		fmt.Fprintln(b.out, "|")
	}
}

func (b *bench) latencies(run rows) {
	var lines [][]string
	for _, r := range run {
		line := []string{r.name, fmt.Sprint(r.missed), fmt.Sprintf("%.2f", r.signals), fmt.Sprint(r.early)}
		for _, p := range []percentiles{r.fromRename, r.fromRemoval} {
			for _, d := range []time.Duration{p.p50, p.p99, p.max} {
				if p.known {
					line = append(line, micro(d))
				} else {
					line = append(line, "")
				}
			}
		}
		most := ""
		if r.most > 0 {
			most = mebi(r.most)
		}
		lines = append(lines, append(line, micro(r.perSwap()), most))
	}
	b.table("times in µs|missed|signals per swap|too early|from rename: p50|p99|max|from removal: p50|p99|max|CPU per swap|anonymous MiB at most", lines...)
}

func (b *bench) idles(run rows) {
	var lines [][]string
	for _, r := range run {
		lines = append(lines, []string{
			r.name, mebi(r.idle.rss), mebi(r.idle.anon), mebi(r.idle.pss),
			milli(r.idle.cpu), fmt.Sprint(r.idle.switches), milli(r.watching),
		})
	}
	b.table("memory in MiB, times in ms|resident|of it anonymous|PSS|CPU|context switches|start to watching", lines...)
}

func (b *bench) fullSpeeds(run rows) {
	var lines [][]string
	for _, r := range run {
		last := "no"
		if r.last {
			last = "yes"
		}
		lines = append(lines, []string{r.name, fmt.Sprint(r.arrived), last, milli(r.cpu)})
	}
	b.table("|signals|one after the last swap|CPU in ms", lines...)
}

func micro(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/1e3) }
func milli(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e6) }
func mebi(kibi int) string         { return fmt.Sprintf("%.1f", float64(kibi)/1024) }
