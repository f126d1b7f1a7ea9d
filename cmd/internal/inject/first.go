package inject

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// ofFirst matches commands that mean process 1, by kill or by /proc. It is compiled when it is
// used: a sidecar never does.
var ofFirst = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\bkill\b[^;&|\n]*\s1($|[\s"';&|)])|/proc/1/`)
})

// firstProcesses say which containers have, as far as the manifest shows it, a program that has to
// be process 1, or a command that takes it for that. Where processes are shared, another one is.
func firstProcesses(spec *yaml.Node) (remarks []string) {
	for _, c := range longRunning(spec) {
		why := ""
		command := slices.Concat(words(c, "command"), words(c, "args"))
		switch {
		case needsFirst(command):
			why = strings.Join(command[:1], "") + " must be process 1"
		case ofFirst().MatchString(strings.Join(command, " ")):
			why = "its command means process 1"
		case ofFirst().MatchString(strings.Join(words(c, "lifecycle", "postStart", "exec", "command"), " ")):
			why = "its hook postStart means process 1"
		case ofFirst().MatchString(strings.Join(words(c, "lifecycle", "preStop", "exec", "command"), " ")):
			why = "its hook preStop means process 1"
		}
		if why != "" {
			remarks = append(remarks, fmt.Sprintf("container %s: %s, which is another one where processes are shared: change it, or use podsignal/reload-url without podsignal/process", text(c, "name"), why))
		}
	}
	return remarks
}

// needsFirst tells whether a command is an init that does not work as another process: that of
// s6-overlay, systemd, or tini without -s.
func needsFirst(command []string) bool {
	if len(command) == 0 {
		return false
	}
	switch path.Base(command[0]) {
	case "init", "systemd":
		return true
	case "tini", "tini-static":
		options := command[1:]
		for i, option := range options {
			if option == "--" || !strings.HasPrefix(option, "-") {
				options = options[:i]
				break
			}
		}
		return !slices.Contains(options, "-s")
	}
	return false
}

func words(n *yaml.Node, keys ...string) (all []string) {
	for _, item := range items(n, keys...) {
		all = append(all, item.Value)
	}
	return all
}
