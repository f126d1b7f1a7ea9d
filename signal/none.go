package signal

import "fmt"

// why says why there is no target.
func (f *Finder) why(found search) string {
	switch {
	case len(found.sharing) > 0:
		return fmt.Sprintf("%s (pid %d) has just ended", f.opts.Name, found.sharing[0].pid)
	case len(found.roots) > 0:
		return fmt.Sprintf("%s (pid %d) does not mount the volume that FILE is in: mount it in that container too, as a folder", f.opts.Name, found.roots[0].pid)
	case len(found.matches) > 0:
		return f.whyWorkers(found)
	case found.alone:
		return `only podsignal's own processes are visible: set shareProcessNamespace: true on the pod (Compose: pid: "service:NAME")`
	}
	if full, pid := f.cut(); full != "" {
		return fmt.Sprintf("no process is named %q, to which the kernel has cut the name of %s (pid %d): set PROCESS=%s", f.opts.Name, full, pid, full)
	}
	if f.opts.Cmdline != nil {
		return fmt.Sprintf("no process is named %q with a command line that matches CMDLINE: fix PROCESS or CMDLINE, or start it", f.opts.Name)
	}
	return fmt.Sprintf("no process is named %q: fix PROCESS, or start it", f.opts.Name)
}

// whyWorkers says why all matches are workers.
func (f *Finder) whyWorkers(found search) string {
	for _, p := range found.matches {
		master := f.kin[p.identity()].parent
		if now := f.known[master.pid]; master.gone || now.named || now.comm != p.comm {
			continue
		}
		text := fmt.Sprintf("%s is the name of workers only: their parent (pid %d) is the same program under another name", f.opts.Name, master.pid)
		if a, ok := f.adviseOn(master.pid); ok {
			text += fmt.Sprintf(": set %s", a)
		}
		return text
	}
	return fmt.Sprintf("only workers are left of %s, and workers are not signalled: their master has ended", f.opts.Name)
}
