package signal

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	const tail = " 0 0 0 0 20 0 1 0 192738 2998272 412 18446744073709551615 94415391199232 94415391223337 140722102474640 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 94415391239184 94415391240800 94415945670656 140722102475395 140722102475423 140722102475423 140722102476778 0\n"
	const middle = " 19282 18846 0 -1 4194304 99 0 0 0"
	started := 1927380 * time.Millisecond
	for name, test := range map[string]struct {
		line string
		want stat
	}{
		"plain": {
			"19294 (nginx) S 19282" + middle + tail,
			stat{"nginx", 'S', 19282, 18846, 1, started},
		},
		"first process of a container": {
			"7 (nginx) S 0" + middle + tail,
			stat{"nginx", 'S', 0, 18846, 1, started},
		},
		"zombie": {
			"7 (sh) Z 1" + middle + tail,
			stat{"sh", 'Z', 1, 18846, 1, started},
		},
		"role for a name": {
			"7 (nsd: server 1) S 6" + middle + tail,
			stat{"nsd: server 1", 'S', 6, 18846, 1, started},
		},
		"no name": {
			"7 () S 6" + middle + tail,
			stat{"", 'S', 6, 18846, 1, started},
		},
		"name like the rest of the line": {
			"7 (a) R 1 (b) S 6" + middle + tail,
			stat{"a) R 1 (b", 'S', 6, 18846, 1, started},
		},
		"name of parentheses": {
			"7 ()) () S 6" + middle + tail,
			stat{")) (", 'S', 6, 18846, 1, started},
		},
		"name with a newline": {
			"7 (a\nb) S 6" + middle + tail,
			stat{"a\nb", 'S', 6, 18846, 1, started},
		},
		"name that is no UTF-8": {
			"7 (\xff\xc3) S 6" + middle + tail,
			stat{"\xff\xc3", 'S', 6, 18846, 1, started},
		},
		"no more than the start time": {
			"1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
			stat{"init", 'S', 0, 1, 1, 30 * time.Millisecond},
		},
		"first thread ended": {
			"7 (named) Z 1 7 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 6 0 3",
			stat{"named", 'Z', 1, 3, 6, 30 * time.Millisecond},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(test.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(stat{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseStatMalformed(t *testing.T) {
	for name, line := range map[string]string{
		"empty":                 "",
		"newline":               "\n",
		"no name":               "7 S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"name without an end":   "7 (sh S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"name without a start":  "7 sh) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"parentheses turned":    "7 )sh( S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"turned, further away":  "7 )S 1 1 1( 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3 4 5",
		"cut after the name":    "7 (sh)",
		"cut before start time": "7 (sh) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0",
		"state of two letters":  "7 (sh) SS 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"parent no number":      "7 (sh) S x 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"session no number":     "7 (sh) S 1 1 x 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 3",
		"threads no number":     "7 (sh) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 x 0 3",
		"start time no number":  "7 (sh) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 x",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat([]byte(line)); err == nil {
				t.Errorf("parsed to %+v", got)
			}
		})
	}
}

// Zombies keep their name and accept signals (P2); all other states are alive.
func TestEnded(t *testing.T) {
	for state, want := range map[byte]bool{
		'R': false, 'S': false, 'D': false, 'T': false, 't': false, 'I': false,
		'Z': true, 'X': true, 'x': true,
	} {
		if got := (stat{state: state, threads: 1}).ended(); got != want {
			t.Errorf("%c: ended = %t", state, got)
		}
	}
	for threads, want := range map[int]bool{0: true, 1: true, 2: false, 7: false} {
		if got := (stat{state: 'Z', threads: threads}).ended(); got != want {
			t.Errorf("%d threads, of which the first has ended: ended = %t", threads, got)
		}
	}
}

// It is not an error if a process ends while its threads are read; anything else is.
func TestEachThreadOfOne(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for _, test := range []struct{ says, want error }{{nil, nil}, {errGone, nil}, {fs.ErrPermission, fs.ErrPermission}} {
		var folders []string
		err := eachThread(cmd.Process.Pid, func(folder string) error {
			folders = append(folders, folder)
			return test.says
		})
		want := fmt.Sprintf("/proc/%d/task/%d", cmd.Process.Pid, cmd.Process.Pid)
		if !errors.Is(err, test.want) || len(folders) != 1 || folders[0] != want {
			t.Errorf("with %v it returns %v, want %v, and read %q, want %s", test.says, err, test.want, folders, want)
		}
	}
}
