package signal

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entry is one of getdents64(2).
func entry(inode uint64, name string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, inode)
	b = append(b, make([]byte, 8)...)
	size := (19 + len(name) + 1 + 7) / 8 * 8
	b = binary.NativeEndian.AppendUint16(b, uint16(size))
	b = append(append(b, 4), name...)
	return append(b, make([]byte, size-len(b))...)
}

func TestAppendListed(t *testing.T) {
	entries := slices.Concat(entry(5, "."), entry(1<<40, "7"), entry(9, "sys"), entry(1, "8"), entry(10, "4194304"),
		entry(11, "12345678"), entry(12, "9x"), entry(13, "99999999999"))
	got, err := appendListed([]listed{{pid: 6, inode: 4}}, entries)
	want := []listed{{6, 4}, {7, 1 << 40}, {8, 0}, {4194304, 10}, {12345678, 11}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(listed{})); diff != "" || err != nil {
		t.Errorf("(-want +got)\n%s\n%v", diff, err)
	}
	for cut := 1; cut < len(entry(5, "7")); cut++ {
		if got, err := appendListed(nil, entry(5, "7")[:cut]); err == nil || !strings.Contains(err.Error(), "parsing the entries of /proc") {
			t.Errorf("cut after %d bytes: %v, %v", cut, got, err)
		}
	}
}

// Any bytes give an error or pids, and never a panic.
func FuzzAppendListed(f *testing.F) {
	f.Add(entry(5, "7"))
	f.Add(slices.Concat(entry(5, "self"), entry(1, "4194304")))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, _ := appendListed(nil, b)
		for _, p := range all {
			if p.pid < 0 || p.inode == 1 {
				t.Errorf("%+v", p)
			}
		}
	})
}

// The kernel lists the inodes that stat(2) has, and keeps them.
func TestRealList(t *testing.T) {
	pid := os.Getpid()
	var inodes []uint64
	for range 2 {
		all, err := list(nil)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(p listed) bool { return p.pid == pid })
		if i < 0 {
			t.Fatalf("%d is not in %+v", pid, all)
		}
		inodes = append(inodes, all[i].inode)
	}
	info, err := os.Stat(strings.TrimSuffix(procPath(pid, ""), "/"))
	if err != nil {
		t.Fatal(err)
	}
	if want := info.Sys().(*syscall.Stat_t).Ino; want < 2 || inodes[0] != want || inodes[1] != want {
		t.Errorf("listed with the inodes %d, stat says %d", inodes, want)
	}
}

// The name is the one in stat.
func TestRealComm(t *testing.T) {
	pid := os.Getpid()
	st, err := readStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	if comm, err := readComm(pid); err != nil || comm != st.comm || comm == "" {
		t.Errorf("%q, %v; stat has %q", comm, err, st.comm)
	}
}
