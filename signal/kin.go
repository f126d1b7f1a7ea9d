package signal

import (
	"syscall"
	"time"
)

// kin is what is remembered of a match, or of the parent of matches, to distinguish workers
// from targets. It outlives its process as long as one of its children lives.
type kin struct {
	identity
	parent  *kin // nil: it is a root
	session int
	since   time.Duration // time since boot at which it was seen to be another program; 0: never
	takes   bool          // it has been seen to take the signal
	blocks  time.Duration // time since boot from which it blocks the signal; 0: it does not
	gone    bool
}

// left reports whether a child of matches has become a master of its own. That is so when all
// its ancestors have ended and were launchers: the child has left their session, as daemons
// do (daemon(7)), and none of them was ever seen to take the signal, as masters do. One of
// them may have existed only to fork once more.
//
// A session of its own is not enough: each process of PostgreSQL and each connection of sshd
// has one.
func (k *kin) left() bool {
	for p := k.parent; p != nil; p = p.parent {
		if !p.gone || p.takes {
			return false
		}
	}
	return k.session != k.first().session
}

// first returns its earliest ancestor, or itself if it has none.
func (k *kin) first() *kin {
	for k.parent != nil {
		k = k.parent
	}
	return k
}

// kinOf returns what is remembered of a process, and remembers it from now on.
func (f *Finder) kinOf(id identity) *kin {
	k := f.kin[id]
	if k == nil {
		k = &kin{identity: id}
		f.kin[id] = k
	}
	return k
}

// relate records the parents of the matches, and which of the remembered processes have
// ended.
func (f *Finder) relate(matches map[int]candidate) {
	for id, k := range f.kin {
		if now, ok := f.known[id.pid]; !ok || now.started != id.started || now.ended {
			k.gone = true
			delete(f.kin, id)
		}
	}
	for _, p := range matches {
		k := f.kinOf(p.identity())
		k.session = p.session
		if parent, ok := matches[p.parent]; ok {
			k.parent = f.kinOf(parent.identity())
		}
	}
	for _, p := range matches {
		k := f.kin[p.identity()]
		if k.parent != nil && !k.parent.gone && k.session != k.first().session {
			f.observe(k.parent)
		}
	}
}

// observe records whether a parent takes the signal. Its masks say nothing while it is too
// young to be signalled: nginx sets its handlers, and PHP-FPM blocks the signal, before they
// go into the background.
func (f *Finder) observe(k *kin) {
	now := f.sys.now()
	if f.opts.Signal == 0 || now-max(k.started, k.since) < f.opts.Grace {
		return
	}
	st, err := f.sys.status(k.pid)
	if err != nil {
		return // it has ended
	}
	if st.catches(f.opts.Signal) {
		k.takes = true
		return
	}
	taken, err := f.blocks(k.pid, st, f.opts.Signal)
	switch {
	case err != nil: // it has ended
	case taken && k.blocks != 0:
		k.takes = k.takes || now-k.blocks >= blockedFor
	case st.ignores(f.opts.Signal):
		k.blocks = 0
	case k.takes:
		// Only an exec takes a handler away (execve(2)): this is another program, and may
		// be a launcher. PHP-FPM goes into the background again to reload.
		k.takes, k.blocks, k.since = false, 0, now
	case taken:
		k.blocks = now
	default:
		k.blocks = 0
	}
}

// roots returns the matches that are not workers, oldest first. The children of a match are
// workers for life, except those that a launcher has left behind: a worker whose master has
// ended must not be mistaken for a master. It decides only by what has been recorded.
func (f *Finder) roots(matches map[int]candidate) []candidate {
	var roots []candidate
	for _, p := range matches {
		k := f.kin[p.identity()]
		if k.left() {
			k.parent = nil
		}
		if k.parent == nil {
			roots = append(roots, p)
		}
	}
	byAge(roots)
	if master, ok := f.masterOf(roots); ok {
		for _, p := range roots {
			f.kin[p.identity()].parent = master
		}
		return nil
	}
	return roots
}

// masterOf returns the common parent of all roots, if it is the same program under another
// name than PROCESS: then they are its workers.
func (f *Finder) masterOf(roots []candidate) (master *kin, ok bool) {
	if len(roots) == 0 || roots[0].parent <= 0 || roots[0].parent == f.sys.self {
		return nil, false
	}
	pid := roots[0].parent
	parent, there := f.known[pid]
	for _, p := range roots {
		if !there || p.parent != pid || p.comm != parent.comm || parent.named || parent.ended {
			return nil, false
		}
	}
	master = f.kinOf(identity{pid, parent.started})
	master.session = int(parent.session)
	return master, true
}

// blocks reports whether a thread blocks the signal, to take it by signalfd(2) or
// sigwait(3). A signal that is also ignored is lost: the kernel drops it, unless the first
// thread blocks it (sig_ignored in kernel/signal.c). In Redis a thread of jemalloc blocks it.
// HAProxy's master blocks it while it starts, then ignores it again, which drops what is
// pending.
func (f *Finder) blocks(pid int, st status, sig syscall.Signal) (bool, error) {
	if st.ignores(sig) {
		return false, nil
	}
	threads, err := f.sys.threads(pid)
	for _, st := range threads {
		if st.blocked&(1<<(sig-1)) != 0 {
			return true, nil
		}
	}
	return false, err
}

// orphan reports whether the parent of a process is not the process that started it. The
// latter has ended: it may have been a launcher, or a master that was never seen. A process
// cannot join a session (setsid(2)), so a parent in another session has not forked it. A
// child of PID 1 with a session of its own may also have been started by an init.
func (f *Finder) orphan(p candidate) bool {
	parent, ok := f.known[p.parent]
	otherSession := ok && int(parent.session) != p.session
	ofInit := p.parent == 1
	leadsSession := p.session == p.pid
	return otherSession && (ofInit || !leadsSession)
}
