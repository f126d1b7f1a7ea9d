package watcher

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// ValidatePattern tells what is wrong with a pattern for Options.Exclude, and the
// fix; nil if it can be used. The error goes on after the pattern: `"" is empty: …`.
//
// The patterns are doublestar's: * is any part of one name, ** as a whole name is any
// number of folders, none too, and ?, [a-z] and {a,b} are as in a shell. A pattern
// is matched against the whole path of an entry relative to the path of
// Options.Paths that shows it, as a reader goes, whatever links lead to; so *.tmp
// is one in that very folder, and **/*.tmp one at any depth. A folder that matches
// is left out with all that it holds, and is not watched: cache, cache/** and
// **/cache/** do that alike. The names with which the kubelet keeps a volume never count.
//
// Where a path of Options.Paths leads to a single file, its base name is matched. If
// it is left out, nothing of it counts, and a warning says so.
func ValidatePattern(pattern string) error {
	clean := strings.TrimPrefix(filepath.Clean("/"+pattern), "/")
	switch {
	case pattern == "":
		return errors.New("is empty: use a pattern such as **/*.tmp")
	case strings.HasPrefix(pattern, "/"):
		return errors.New("is absolute, but is matched against paths relative to FILE: use a pattern such as cache/** or **/*.tmp")
	case !doublestar.ValidatePattern(pattern):
		return errors.New(`is not a valid pattern: use *, **, ?, [a-z] and {a,b} as in **/*.tmp, each [ and { closed, and \ before one that is meant as it is`)
	case clean == "":
		return errors.New("names FILE itself: use a pattern such as **/*.tmp")
	case pattern != clean:
		return fmt.Errorf("matches no path relative to FILE: use %s", clean)
	case strings.Trim(pattern, "*/") == "" && doublestar.MatchUnvalidated(pattern, "name"):
		return errors.New("leaves out all there is: use a narrower pattern such as **/*.tmp")
	}
	return nil
}

// exclusion is Options.Exclude.
type exclusion []string

// has tells whether a path relative to FILE is left out. What lies below a folder
// that is left out is not asked for.
func (e exclusion) has(rel string) bool {
	return slices.ContainsFunc(e, func(pattern string) bool {
		return doublestar.MatchUnvalidated(pattern, rel)
	})
}

// relative is path as seen from root, the path of FILE that leads to it.
func relative(root, path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
}
