package main

import (
	"fmt"
	"strings"
)

// A contestant is a way to signal a process when its volume changes.
type contestant struct {
	name      string
	processes int    // that it consists of, at rest
	ready     string // what it says when it is watching
	reliable  bool   // it answers each swap
	command   func(b *bench, volumes []string, pid string) (command, env []string)
}

// targetName is that of the program to be signalled.
const targetName = "target"

var (
	podsignal = &contestant{
		name: "podsignal", processes: 1, ready: "msg=watching", reliable: true,
		command: func(b *bench, volumes []string, _ string) ([]string, []string) {
			return []string{b.podsignal}, []string{"FILE=" + strings.Join(volumes, ","), "PROCESS=" + targetName}
		},
	}
	listening = &contestant{
		name: "podsignal with LISTEN", processes: 1, ready: "msg=watching", reliable: true,
		command: func(b *bench, volumes []string, pid string) ([]string, []string) {
			command, env := podsignal.command(b, volumes, pid)
			return command, append(env, "LISTEN="+b.listen)
		},
	}
	// earlier is another build of podsignal, to see what has changed.
	earlier = &contestant{
		name: "podsignal before", processes: 1, ready: "msg=watching", reliable: true,
		command: func(b *bench, volumes []string, pid string) ([]string, []string) {
			_, env := podsignal.command(b, volumes, pid)
			return []string{b.before}, env
		},
	}
	// crowded is podsignal with LISTEN among clients, see crowd.
	crowded = &contestant{
		name: fmt.Sprintf("podsignal, %d clients of /status", clients), processes: 1, ready: "msg=watching", reliable: true,
		command: func(b *bench, volumes []string, pid string) ([]string, []string) {
			command, env := podsignal.command(b, volumes, pid)
			return command, append(env, "LISTEN="+b.crowded)
		},
	}
	floorRemoval = floor("floor: kill at the removal", "removal")
	floorSwap    = floor("floor: kill at the swap", "swap")

	// The loops that people paste. The first starts inotifywait anew for each signal.
	shellLoop = shell("shell: while inotifywait", 2,
		`while inotifywait -e modify,move,create,delete "$0" >/dev/null; do kill -HUP "$(pgrep -o target)"; done`)
	shellMonitor = shell("shell: inotifywait -m", 3,
		`inotifywait -m -e modify,move,create,delete "$0" | while read -r event; do kill -HUP "$(pgrep -o target)"; done`)
)

// floor needs no more than to be told the pid.
func floor(name, step string) *contestant {
	return &contestant{
		name: name, processes: 1, ready: "ready", reliable: true,
		command: func(b *bench, volumes []string, pid string) ([]string, []string) {
			return []string{b.tool("floor"), step, volumes[0], pid}, nil
		},
	}
}

func shell(name string, processes int, script string) *contestant {
	return &contestant{
		name: name, processes: processes, ready: "Watches established",
		command: func(_ *bench, volumes []string, _ string) ([]string, []string) {
			return []string{"sh", "-c", script, volumes[0]}, nil
		},
	}
}
