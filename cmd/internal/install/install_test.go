package install

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	folder := t.TempDir()
	path := filepath.Join(folder, "podsignal")
	for range 2 { // the second replaces the first
		var said strings.Builder
		if err := Run(folder, &said); err != nil || said.String() != "installed "+path+"\n" {
			t.Fatalf("%v, and it says %s", err, said.String())
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o755 {
		t.Fatalf("%v, mode %v, want 0755", err, info.Mode())
	}
	want, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("it is not what runs: %v", err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the copy alone", entries, err)
	}
}

func TestRunErrors(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "podsignal"), 0o755); err != nil {
		t.Fatal(err)
	}
	for into, want := range map[string]string{
		filepath.Join(folder, "none"): "no such file or directory: mount the folder that both containers share",
		file:                          "not a directory: use the folder that both containers share",
		taken:                         "file exists: remove the folder that has the name of the copy",
		"/sys/kernel":                 ": ",
	} {
		err := Run(into, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "installing "+into+"/podsignal: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", into, err, want)
		}
	}
	if entries, err := os.ReadDir(taken); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: something is left behind", entries, err)
	}
}
