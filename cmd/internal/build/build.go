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

// Describe is what a program of this name prints for --version, without the end of the line.
func Describe(name string) string {
	return fmt.Sprintf("%s %s (commit %s, %s, %s/%s)", name, Version, Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// UserAgent is for the header of that name (RFC 9110, section 10.1.5).
func UserAgent() string { return "podsignal/" + Version }
