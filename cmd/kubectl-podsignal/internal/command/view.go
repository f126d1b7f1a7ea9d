package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

// A view shows progress: on a terminal a table that is drawn again and again, else a line for each
// pod that has the verdict which it keeps.
type view struct {
	out        io.Writer
	namespaces bool
	output     output
	began      time.Time

	terminal int // its descriptor; -1: out is none
	lines    int // that are drawn
	drawn    time.Time
}

// drawEvery is how often the table is drawn, at most.
const drawEvery = 100 * time.Millisecond

func newView(out io.Writer, namespaces bool, o output) *view {
	v := &view{out: out, namespaces: namespaces, output: o, began: time.Now(), terminal: -1}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		v.terminal = int(file.Fd())
	}
	return v
}

func (v *view) show(p *fleet.Progress) {
	switch {
	case v.output == asJSON:
	case v.terminal >= 0:
		if time.Since(v.drawn) >= drawEvery {
			v.draw(p.All())
		}
	case p.Done:
		v.line(p.Report)
	}
}

// line prints what has become of a pod.
func (v *view) line(r *fleet.Report) {
	text := fmt.Sprintf("%s: %s", name(r, v.namespaces), r.Verdict)
	if r.Verdict.Counts() {
		text += fmt.Sprintf(" after %.1f s", time.Since(v.began).Seconds())
	}
	if why := r.Why(); why != "" {
		text += ": " + printers.EscapeTerminal(why)
	}
	fmt.Fprintln(v.out, text)
}

// draw draws the summary, and the pods that are not live as far as there is room.
func (v *view) draw(all []*fleet.Report) {
	width, height, err := term.GetSize(v.terminal)
	if err != nil || width < 2 || height < 3 {
		width, height = 80, 24
	}
	lines := []string{fmt.Sprintf("%v (%.0f s)", fleet.Summarize(all), time.Since(v.began).Seconds())}
	for _, r := range all {
		if !r.Verdict.Counts() || r.Verdict == fleet.Live {
			continue
		}
		if len(lines) == height-2 {
			lines = append(lines, "...")
			break
		}
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", name(r, v.namespaces), r.Verdict, printers.EscapeTerminal(r.Why())), ": "))
	}
	v.end()
	for _, line := range lines {
		if runes := []rune(line); len(runes) >= width {
			line = string(runes[:width-1])
		}
		fmt.Fprintln(v.out, line)
	}
	v.lines, v.drawn = len(lines), time.Now()
}

// end removes what is drawn: it goes up as many lines, and clears the rest of the screen (ECMA-48).
func (v *view) end() {
	if v.lines > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.lines)
		v.lines = 0
	}
}

// result prints what has become of all pods: in lines they have been printed already.
func (v *view) result(all []*fleet.Report) error {
	if v.terminal >= 0 || v.output != asTable {
		return result(v.out, all, v.namespaces, v.output)
	}
	summary := fleet.Summarize(all)
	if summary.Counted > 0 {
		fmt.Fprintln(v.out, summary)
	}
	return verdict(summary)
}
