package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podsignal/podsignal/cmd/kubectl-podsignal/internal/fleet"
)

// TestTerminal: what is drawn on a terminal fits it, and is gone at the end.
func TestTerminal(t *testing.T) {
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 10, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	read := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(terminal) // it ends with an error, when the tty is closed
		read <- all
	}()

	var all []*fleet.Report
	for i := range 30 {
		r := &fleet.Report{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-%02d", i)}}, Verdict: fleet.Waiting, Reason: strings.Repeat("long ", 20)}
		if i < 10 {
			r.Verdict, r.Reason = fleet.Live, ""
		}
		all = append(all, r)
	}
	v := newView(tty, false, asTable)
	v.show(&fleet.Progress{All: func() []*fleet.Report { return all }})
	v.end()
	if err := v.result(all); !errors.Is(err, errNotLive) {
		t.Errorf("the error is %v", err)
	}
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	drawn, rest, ok := bytes.Cut(<-read, []byte("\x1b[9A\x1b[J"))
	if !ok {
		t.Fatalf("what is drawn is not removed: %q", rest)
	}
	lines := strings.Split(strings.TrimSuffix(string(drawn), "\r\n"), "\r\n")
	if len(lines) != 9 || lines[8] != "..." || !strings.HasPrefix(lines[1], "web-10: waiting for the kubelet: long ") {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	for _, line := range lines {
		if len(line) > 39 {
			t.Errorf("%q is too long", line)
		}
	}
	if !regexp.MustCompile(`(?m)^web-00 .* live\r?$`).Match(rest) || !strings.Contains(string(rest), "10 of 30 pods live, 20 waiting for the kubelet") {
		t.Errorf("at the end: %q", rest)
	}
}
