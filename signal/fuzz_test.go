package signal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the kernel's own format makes of any values must give these values back;
// anything else must give an error or sense, and never a panic.

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("7 (sh"), "nginx", byte('S'), 1, int64(192738))
	f.Add([]byte(") 7 (sh"), "a) R 1 (b", byte('Z'), 0, int64(0))
	f.Add([]byte("7 () S"), "\n\xff ", byte('t'), -1, int64(1)<<40)
	f.Fuzz(func(t *testing.T, raw []byte, comm string, state byte, parent int, ticks int64) {
		if st, err := parseStat(raw); err == nil && !bytes.Contains(raw, []byte("("+st.comm+")")) {
			t.Errorf("%q has the name %q", raw, st.comm)
		}
		if state <= ' ' || state > '~' || state == ')' || ticks < 0 || ticks > 1<<40 {
			return // never so
		}
		line := fmt.Appendf(nil, "7 (%s) %c %d 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 9 9\n", comm, state, parent, ticks)
		got, err := parseStat(line)
		want := stat{comm, state, parent, 7, 1, time.Duration(ticks) * 10 * time.Millisecond}
		if err != nil || got != want {
			t.Errorf("%q: %v\n%s", line, err, cmp.Diff(want, got, cmp.AllowUnexported(stat{})))
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(nginxStatus), "nginx", byte('S'), uint32(0), uint32(0), uint16(7), uint64(0), uint64(0x40001000), uint64(0x198016a07))
	f.Add([]byte("Name:\nState:\t\nUid:\t1\n"), "SigCgt:\t1\nb\\", byte('Z'), uint32(65532), uint32(101), uint16(1), ^uint64(0), uint64(1), uint64(1)<<63)
	f.Fuzz(func(t *testing.T, raw []byte, comm string, state byte, uid, savedUID uint32, innermost uint16, blocked, ignored, catch uint64) {
		for _, key := range []string{"Name", "State", "Uid", "SigBlk", "SigIgn", "SigCgt"} {
			if st, err := parseStatus(raw); err == nil && !bytes.Contains(raw, []byte(key)) {
				t.Errorf("%q without %s is %+v", raw, key, st)
			}
		}
		if state <= ' ' || state > '~' {
			return // never so
		}
		text := fmt.Appendf(nil, "Name:\t%s\nState:\t%c (any)\nUid:\t%d\t3\t%d\t5\nNSpid:\t77\t%d\nSigQ:\t0/1\nSigBlk:\t%016x\nSigIgn:\t%016x\nSigCgt:\t%016x\nCapInh:\t0\n",
			escapedComm(comm), state, uid, savedUID, innermost, blocked, ignored, catch)
		got, err := parseStatus(text)
		want := status{comm, state, int(uid), int(savedUID), int(innermost), blocked, ignored, catch}
		if err != nil || got != want {
			t.Errorf("%q: %v\n%s", text, err, cmp.Diff(want, got, cmp.AllowUnexported(status{})))
		}
	})
}

// escapedComm is a process's name as /proc/PID/status prints it
// (proc_task_name in fs/proc/array.c).
func escapedComm(comm string) string {
	return strings.NewReplacer("\n", `\n`, `\`, `\\`).Replace(comm)
}
