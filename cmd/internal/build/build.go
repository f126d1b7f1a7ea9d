// Package build knows which podsignal this is.
package build

import (
	"fmt"
	"runtime"
)

// Set by the linker; see the Makefile.
var (
	Version = "dev"
	Commit  = "unknown"
)

// Describe is what podsignal --version prints, without the end of the line.
func Describe() string {
	return fmt.Sprintf("podsignal %s (commit %s, %s, %s/%s)", Version, Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// UserAgent is for the header of that name (RFC 9110, section 10.1.5).
func UserAgent() string { return "podsignal/" + Version }
