package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/podsignal/podsignal/watcher"
)

// files are those of FILE, or the volumes that are mounted here.
func (env *ruleEnvironment) files(holds []string, invalid func(variable, value, fix string)) (files []string, found bool) {
	if env.File == "" {
		files, err := watcher.MountedVolumes(holds...)
		switch {
		case err != nil:
			invalid("FILE", "", fmt.Sprintf("is not set, and what is mounted here cannot be read (%v): set it", err))
		case len(files) == 0:
			invalid("FILE", "", "is not set, and no ConfigMap, Secret or projected volume is mounted here: mount what the program reads into this container too, as a folder, or set FILE to files or folders, comma-separated")
		}
		return files, true
	}
	for _, path := range split(env.File) {
		absolute, err := filepath.Abs(path)
		if err != nil {
			invalid("FILE", path, "is relative to a folder that is gone: use a path that begins with /")
		}
		if folder, is := globbed(absolute); is {
			invalid("FILE", path, fmt.Sprintf("is a pattern, and nothing has that name: set FILE to the folder, %s, and EXCLUDE to patterns of what to ignore in it", folder))
		}
		if !slices.Contains(files, absolute) {
			files = append(files, absolute)
		}
	}
	if len(files) == 0 {
		invalid("FILE", env.File, "has no path to watch: set it to files or folders, comma-separated, such as /etc/nginx/conf.d")
	}
	return files, false
}

// globbed tells whether a path is a pattern of a shell, and no name of anything: FILE
// takes names alone. It returns the folder that the pattern searches.
func globbed(path string) (folder string, is bool) {
	i := strings.IndexAny(path, "*?[{")
	if i < 0 {
		return "", false
	}
	_, err := os.Lstat(path)
	return filepath.Dir(path[:i] + "x"), errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// splitPatterns is split for patterns, which may have commas in braces and brackets, or
// behind a \.
func splitPatterns(list string) (patterns []string) {
	depth, class, escaped, begin := 0, false, false, 0
	for i, c := range list {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case class:
			class = c != ']'
		case c == '[':
			class = strings.Contains(list[i:], "]") // else it is a mistake in this pattern alone
		case c == '{':
			depth++
		case c == '}':
			depth = max(0, depth-1)
		case c == ',' && depth == 0:
			patterns, begin = append(patterns, strings.TrimSpace(list[begin:i])), i+1
		}
	}
	patterns = append(patterns, strings.TrimSpace(list[begin:]))
	return slices.DeleteFunc(patterns, func(pattern string) bool { return pattern == "" })
}
