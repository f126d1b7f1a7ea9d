package check

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal"
)

// target adds what a signal, or a call, to a target would meet.
func (r *Report) target(p signal.Process) *TargetReport {
	who := fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
	add := func(l Level, kind, format string, args ...any) { r.add(l, kind, format, args...).PID = p.PID }

	about := &TargetReport{Permitted: p.Denied == nil, Runtime: p.Runtime, Mounts: []MountReport{}}
	if r.URL == "" {
		about.Handling = string(p.Handling)
		r.handling(p, who, add)
	}

	if p.Unseen != nil {
		add(LevelWarn, "volume", "the mounts of %s are unreadable: %v", who, p.Unseen)
	}
	for _, m := range p.Mounts {
		for _, s := range m.SubPaths {
			l := LevelWarn
			if m.Folders == nil && (s.Kind != signal.KindSingle || s.Stale) {
				l = LevelFail
			}
			add(l, "volume", "%s has %s: %s", who, describeSubPath(s), s.Fix())
		}
		switch {
		case m.Own == "/" && slices.Contains(m.Folders, "/"): // there is no container, or no volume
			add(LevelOK, "volume", "%s has the same root file system as podsignal, and FILE is in that", who)
		case m.Folders != nil:
			add(LevelOK, "volume", "%s mounts what is at %s here, at %s", who, m.Own, strings.Join(m.Folders, ", "))
		case m.SubPaths == nil && m.Own == "/":
			add(LevelWarn, "volume", "FILE is in podsignal's own file system, which %s does not share: mount the folder that it reads here too", who)
		case m.SubPaths == nil:
			add(LevelWarn, "volume", "%s does not mount what is at %s here: see that it reads the same files", who, m.Own)
		}
		about.Mounts = append(about.Mounts, MountReport{m.Own, m.Folders, subPathReports(m.SubPaths)})
	}
	return about
}

// handling adds whether a signal may be sent to a target, and what it would do with it.
func (r *Report) handling(p signal.Process, who string, add func(l Level, kind, format string, args ...any)) {
	if p.Denied == nil {
		add(LevelOK, "permission", "%s runs as uid %d, podsignal as uid %d: it may be signalled", who, p.UID, r.UID)
	} else {
		add(LevelFail, "permission", "%v", p.Denied)
	}
	meansEnd := signal.MeansEnd(unix.SignalNum("SIG" + r.Signal))
	switch {
	case p.Refusal != nil:
		add(LevelFail, "handler", "%v", p.Refusal)
	case p.Handling == signal.Ends:
		add(LevelOK, "handler", "%s has no handler for %s, which ends it, to be started again", who, r.Signal)
	case p.Handling == signal.Blocks:
		add(LevelOK, "handler", "%s blocks %s, to take it by signalfd or sigwait", who, r.Signal)
	case p.Runtime != "" && !meansEnd: // a runtime does end then
		add(LevelWarn, "handler", "%s is a %s program, %s: verify that it reloads on %s", who, p.Runtime, runtimes[p.Runtime], r.Signal)
	default:
		add(LevelOK, "handler", "%s catches %s", who, r.Signal)
	}
}

// runtimes say why the masks of these programs tell nothing.
var runtimes = map[string]string{
	"Go":   "which shows every signal as caught, and dies of one that it has no handler of its own for",
	"Java": "and a JVM shows HUP, INT and TERM as caught, and exits on those that the program does not handle",
	"Node": "and USR1 opens Node's debugger",
}
