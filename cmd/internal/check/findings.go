package check

import (
	"fmt"
	"strings"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// Each of these adds what was found to a report, and a finding on it.

func (r *Report) add(l Level, about, format string, args ...any) *Finding {
	r.Findings = append(r.Findings, Finding{Level: l, About: about, Text: fmt.Sprintf(format, args...)})
	return &r.Findings[len(r.Findings)-1]
}

func (r *Report) files(d watcher.Description) {
	absent := 0
	for _, p := range d.Paths {
		if p.Kind == watcher.KindAbsent {
			absent++
		}
	}
	for _, p := range d.Paths {
		file := FileReport{Path: p.Path, Kind: string(p.Kind), Files: p.Files}
		switch {
		case p.Kind == watcher.KindAbsent && absent < len(d.Paths):
			r.add(LevelWarn, "file", "%v", p.Err).File = p.Path
		case p.Err != nil:
			r.add(LevelFail, "file", "%v", p.Err).File = p.Path
		case p.Files == 0:
			r.add(LevelWarn, "file", "%s (%s) shows no file: put one in, or fix FILE", p.Path, p.Kind).File = p.Path
		case p.Kind == watcher.KindFile:
			r.add(LevelOK, "file", "%s is a file", p.Path).File = p.Path
		default:
			r.add(LevelOK, "file", "%s is a %s with %s", p.Path, p.Kind, count(p.Files, "file")).File = p.Path
		}
		if p.Err != nil {
			file.Error = p.Err.Error()
		}
		on, below, err := signal.SubPaths(p.Path)
		if err != nil {
			r.add(LevelWarn, "file", "mounts unreadable: %v", err).File = p.Path
		}
		for _, s := range on {
			l := LevelFail
			if s.Kind == signal.KindSingle && !s.Stale {
				l = LevelWarn // it may still be edited in place
			}
			r.add(l, "file", "%s lies on %s: %s", p.Path, describeSubPath(s), s.Fix()).File = p.Path
		}
		for _, s := range below {
			l := LevelWarn
			if s.Stale {
				l = LevelFail
			}
			r.add(l, "file", "%s has in it %s: %s", p.Path, describeSubPath(s), s.Fix()).File = p.Path
		}
		file.SubPaths = subPathReports(append(on, below...))
		r.Files = append(r.Files, file)
	}
}

func describeSubPath(s signal.SubPath) string {
	if s.Stale {
		return fmt.Sprintf("a %s at %s, which is stale already", s.Kind, s.Point)
	}
	return fmt.Sprintf("a %s at %s", s.Kind, s.Point)
}

func subPathReports(all []signal.SubPath) (out []SubPathReport) {
	for _, s := range all {
		out = append(out, SubPathReport{s.Point, string(s.Kind), s.Stale})
	}
	return out
}

func (r *Report) watches(d watcher.Description) {
	const some = 5
	list := strings.Join(d.Folders[:min(some, len(d.Folders))], ", ")
	if more := len(d.Folders) - some; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if len(d.Folders) > 0 {
		r.add(LevelOK, "watch", "%s to be watched: %s", count(len(d.Folders), "folder"), list)
	}
	l := d.Limits
	r.Inotify = InotifyReport{Instances: l.Instances, MaxInstances: l.MaxInstances, Watches: l.Watches, MaxWatches: l.MaxWatches}
	if d.Inotify != nil {
		r.Inotify.Error = d.Inotify.Error()
		r.add(LevelWarn, "inotify", "unavailable, so podsignal polls every 2 s: %v (%s)", d.Inotify, r.taken()).common = true
		return
	}
	r.add(LevelOK, "inotify", "%s", r.available(len(d.Folders))).common = true
}

// taken is what this uid has of inotify already.
func (r *Report) taken() string {
	return fmt.Sprintf("uid %d uses %d of %d instances and %d of %d watches, as far as visible",
		r.UID, r.Inotify.Instances, r.Inotify.MaxInstances, r.Inotify.Watches, r.Inotify.MaxWatches)
}

// available says that there is inotify for so many folders.
func (r *Report) available(folders int) string {
	return fmt.Sprintf("an instance and %s are available; %s", count(folders, "watch"), r.taken())
}

func (r *Report) processes(s signal.Survey) {
	r.Processes = []ProcessReport{} // an empty list in JSON, not null
	if !s.Shared {
		r.add(LevelFail, "namespace", "%s", why(s.Err)).common = true
		return
	}
	r.add(LevelOK, "namespace", "the process namespace is shared: %s", count(s.Visible, "visible process")).common = true

	roles := make(map[signal.Role]int)
	for _, p := range s.Processes {
		roles[p.Role]++
	}
	if s.Err == nil {
		text := count(roles[signal.RoleTarget], "target") + " named " + r.Process
		if n := roles[signal.RoleWorker]; n > 0 {
			text += ", " + count(n, "worker") + " left alone"
		}
		if n := roles[signal.RoleLeftOut]; n > 0 {
			text += fmt.Sprintf(", %d left out, not mounting what FILE is in", n)
		}
		r.add(LevelOK, "process", "%s", text)
	} else {
		r.add(LevelFail, "process", "%s", why(s.Err)+r.near(s.Near))
	}
	for _, p := range s.Processes {
		about := ProcessReport{PID: p.PID, Parent: p.Parent, UID: p.UID, Name: p.Name, Role: string(p.Role), Orphan: p.Orphan}
		if p.Orphan {
			r.add(LevelWarn, "process", "%s (pid %d) looks like a target, but the process that started it has ended: if that was its master, and podsignal has seen it, this one is left alone, and the log says that only workers are left", p.Name, p.PID).PID = p.PID
		}
		if p.Role == signal.RoleTarget {
			about.Target = r.target(p)
		}
		r.Processes = append(r.Processes, about)
	}
}

// why is the reason alone: the finding itself says that there is no target.
func why(err error) string {
	return strings.TrimPrefix(err.Error(), signal.ErrNoTarget.Error()+": ")
}

func (r *Report) near(near []signal.Near) string {
	const some = 3
	var names []string
	for _, n := range near {
		r.Near = append(r.Near, NearReport{n.PID, n.Name, n.Cmdline, n.Why})
		name := n.Name
		if n.Cmdline != "" {
			name = fmt.Sprintf("PROCESS=%s with CMDLINE=%s", n.Name, n.Cmdline)
		}
		if len(names) < some {
			names = append(names, fmt.Sprintf("%s (pid %d; %s)", printable(name), n.PID, n.Why))
		}
	}
	if names == nil {
		return ""
	}
	return "; did you mean " + strings.Join(names, ", or ") + "?"
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s") || strings.HasSuffix(noun, "ch"):
		return fmt.Sprintf("%d %ses", n, noun)
	default:
		return fmt.Sprintf("%d %ss", n, noun)
	}
}
