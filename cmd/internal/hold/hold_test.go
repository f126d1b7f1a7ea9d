package hold

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

const deadline = 10 * time.Second

var one, two = strings.Repeat("1a", 32), strings.Repeat("2b", 32)

func TestParseApprovals(t *testing.T) {
	for _, test := range []struct {
		name, content string
		approved      []string
		odd           int
	}{
		{"empty", "", nil, 0},
		{"lines", one + "\n" + two, []string{one, two}, 0},
		{"as of Windows, and of sha256sum", " " + strings.ToUpper(one) + "\r\n\r\n" + two + "  -\n", []string{one, two}, 0},
		{"a digest that was cut is none", one[:12] + "\n" + two + "\n", []string{two}, 1},
		{"what follows a digest is a remark", one + " " + two + "\n", []string{one}, 0},
		{"one that is too long", "\n" + one + "00", nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := Parse([]byte(test.content))
			if len(a.digests) != len(test.approved) || a.Odd != test.odd {
				t.Errorf("it says %+v", a)
			}
			for _, digest := range test.approved {
				if a.Lacks(digest) {
					t.Errorf("%s is not approved", digest)
				}
			}
		})
	}
}

func FuzzParseApprovals(f *testing.F) {
	f.Add(one + "\n" + two + "  name\nodd")
	f.Fuzz(func(t *testing.T, content string) {
		a := Parse([]byte(content))
		for digest := range a.digests {
			if len(digest) != 64 || !strings.Contains(strings.ToLower(content), digest) {
				t.Errorf("%q approves %q", content, digest)
			}
		}
	})
}

// TestFollowApprovals: the file is followed through the kubelet's swaps, and what cannot be read is said.
func TestFollowApprovals(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := make(chan Approvals), make(chan error)
	go func() { ended <- Follow(ctx, Settings{Path: filepath.Join(dir, "approved")}, out) }()
	next := func() Approvals {
		t.Helper()
		select {
		case a := <-out:
			return a
		case <-time.After(deadline):
			t.Fatal("nothing was said")
			panic("unreachable")
		}
	}
	if a := next(); !os.IsNotExist(a.Err) || !a.Lacks(one) {
		t.Errorf("without a file it says %+v", a)
	}
	write := func(content string) {
		t.Helper()
		if err := volumetest.Write(dir, volumetest.Files{"approved": content}); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	if a := next(); a.Err != nil || !a.Lacks(one) {
		t.Errorf("of an empty file it says %+v", a)
	}
	write(one)
	if a := next(); a.Lacks(one) || !a.Lacks(two) {
		t.Errorf("of one digest it says %+v", a)
	}
	write(one)
	write(two)
	if a := next(); a.Lacks(two) || !a.Lacks(one) {
		t.Errorf("of another digest it says %+v", a)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReadOfNoFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, t.TempDir()} {
		if a := Read(path); a.Err == nil {
			t.Errorf("%s was read: %+v", path, a)
		}
	}
}
