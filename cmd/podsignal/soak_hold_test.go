//go:build soak

package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// approvals is the file of HOLD of the rule that has one, in the folder of the soak.
const approvals = "podinfo/approved"

// approve approves what the rule with HOLD shows now, whenever somebody waits for podsignal: until
// then all of its changes are held. The digests are computed as CONTRACT.md defines them.
func (s *soak) approve() {
	var lines strings.Builder
	for _, r := range s.rules {
		if !slices.Contains(r.set, "HOLD="+s.path(approvals)) {
			continue
		}
		for _, path := range r.watched {
			fmt.Fprintln(&lines, pathDigest(s.path(path)))
		}
	}
	if lines.String() == s.approved {
		return
	}
	s.approved = lines.String()
	dir, file := filepath.Split(s.path(approvals))
	check(s.t, volumetest.Write(filepath.Clean(dir), volumetest.Files{file: s.approved}))
}

// pathDigest is that of what is there now, changing or not.
func pathDigest(path string) string {
	if content, err := os.ReadFile(path); err == nil {
		return digestOf(string(content))
	}
	files := make(map[string]string)
	addFiles(files, path, "")
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		text.WriteString(files[name] + "  " + name + "\x00")
	}
	return digestOf(text.String())
}

func addFiles(files map[string]string, dir, prefix string) {
	entries, _ := os.ReadDir(dir) // it may have gone
	volume := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "..data" })
	for _, e := range entries {
		if e.Name() == ".git" || volume && strings.HasPrefix(e.Name(), "..") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			addFiles(files, path, prefix+e.Name()+"/")
		case info.Mode().IsRegular():
			if content, err := os.ReadFile(path); err == nil {
				files[prefix+e.Name()] = digestOf(string(content))
			}
		}
	}
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
