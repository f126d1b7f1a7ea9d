package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
)

// A Survey describes the processes of a name at one moment, by the same rules by which a
// Finder selects targets and a Target is signalled.
type Survey struct {
	UID       int       // ours
	Visible   int       // processes, podsignal's own among them
	Shared    bool      // some of them belong to other containers
	Processes []Process // that match, each after its parent
	Near      []Near    // if none matches: those that may have been meant
	Err       error     // why there is no target, and the fix; nil if there is one
}

// Role is what podsignal would do with a process.
type Role string

// The roles.
const (
	RoleTarget  Role = "target"   // it is signalled
	RoleWorker  Role = "worker"   // its parent matches too: it is left alone
	RoleLeftOut Role = "left out" // it does not mount what the files lie on
)

// A Process is one that matches. The fields after Role are set for targets only.
type Process struct {
	PID, Parent int
	UID         int // its real one
	Name        string
	Role        Role
	Orphan      bool // a target whose parent is not the process that started it, which has ended

	Denied   error    // why it may not be signalled, and the fix; nil: it may
	Handling Handling // of the signal; empty: unreadable
	Refusal  error    // why the signal would be held back, and the fix
	Runtime  string   // Go, Java or Node: then Handling says nothing
	Mounts   []Mounted
	Unseen   error // why Mounts are unreadable
}

// A Near is a process whose name resembles PROCESS.
type Near struct {
	PID     int
	Name    string // the value of PROCESS that would select it
	Cmdline string // and of CMDLINE, if the name is not enough
	Why     string

	rank int // 0: the likeliest
}

// Look surveys the processes that Options select, and how they would handle sig. It sends
// only signal 0, which has no effect. It returns only errors from reading /proc.
func Look(ctx context.Context, opts Options, sig syscall.Signal) (Survey, error) {
	opts.Log = slog.New(slog.DiscardHandler) // the Survey says all of it
	f := NewFinder(opts)
	f.ended = nil
	defer func() { _, _ = f.adopt(nil) }() // closes the pidfds
	return f.survey(ctx, sig)
}

func (f *Finder) survey(ctx context.Context, sig syscall.Signal) (Survey, error) {
	found, err := f.search(ctx, everything)
	if err != nil {
		return Survey{}, err
	}
	s := Survey{UID: f.sys.uid, Visible: found.visible, Shared: !found.alone || len(found.matches) > 0}
	adopted, err := f.adopt(found.sharing)
	if err != nil {
		return Survey{}, err
	}
	targets := make(map[int]*Target)
	for _, t := range adopted {
		targets[t.PID] = t
	}
	if len(targets) == 0 {
		s.Err = fmt.Errorf("%w: %s", ErrNoTarget, f.why(found))
	}
	if full, _ := f.cut(); len(found.matches) == 0 && s.Shared && full == "" {
		s.Near = f.near()
	}
	for _, p := range tree(found.matches) {
		st, err := f.sys.status(p.pid)
		if err != nil {
			continue // it has ended
		}
		about := Process{PID: p.pid, Parent: p.parent, UID: st.uid, Name: f.opts.Name, Role: RoleLeftOut}
		switch t := targets[p.pid]; {
		case t != nil:
			about.Role, about.Orphan = RoleTarget, f.orphan(p)
			err = t.survey(sig, &about)
		case f.kin[p.identity()].parent != nil:
			about.Role = RoleWorker
		}
		if !errors.Is(err, ErrGone) {
			s.Processes = append(s.Processes, about)
		}
	}
	return s, nil
}

// survey finds what would become of a signal to a target. The error is ErrGone.
func (t *Target) survey(sig syscall.Signal, about *Process) error {
	f := t.finder
	st, err := t.status()
	if err != nil {
		return ErrGone
	}
	about.Denied = t.send(0, sig, st)
	if errors.Is(about.Denied, ErrGone) {
		return ErrGone
	}
	about.Handling, err = t.handling(sig, st)
	about.Refusal = err
	if err == nil {
		about.Refusal = t.refusal(about.Handling, sig)
	}
	args, _ := f.sys.cmdline(t.PID) // without them the name decides
	about.Runtime = runtimeOf(st, args)

	about.Mounts, about.Unseen = f.mountsOf(t.PID)
	return nil
}

// runtimeOf returns the runtime of a program whose handlers are not its own; empty: it has
// none of those.
func runtimeOf(st status, args []string) string {
	is := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return isNamed(name, st.comm, args) })
	}
	switch {
	case st.looksLikeGo():
		return "Go"
	case is("java") || slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "libjvm") }):
		return "Java"
	case is("node", "nodejs"):
		return "Node"
	}
	return ""
}

// tree sorts each process after its parent, and siblings by age.
func tree(matches map[int]candidate) []candidate {
	children := make(map[int][]candidate)
	for _, p := range matches {
		parent := 0
		if _, ok := matches[p.parent]; ok {
			parent = p.parent
		}
		children[parent] = append(children[parent], p)
	}
	var all []candidate
	var add func(parent int)
	add = func(parent int) {
		list := children[parent]
		byAge(list)
		for _, p := range list {
			all = append(all, p)
			add(p.pid)
		}
	}
	add(0)
	return all
}
