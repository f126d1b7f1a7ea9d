package signal

import "time"

// known is what is remembered of a process from one search to the next.
type known struct {
	inode           uint64
	comm            string
	started         time.Duration
	judged          time.Duration // since boot: when its command line was read, or its name said enough
	seen            uint64        // the last search that has seen it
	parent, session int32
	ended           bool // it is a zombie
	named           bool // it has the name PROCESS
	match           bool // its command line matches too
	sharing         sharing
}

// settled is the age at which a process is expected to have its final title.
const settled = time.Minute

// depth is what a search reads of a process that an earlier one has seen, and that is neither
// a target nor related to one.
type depth int

const (
	startedOnly depth = iota // nothing: it finds those that have started
	namesToo                 // its name, and while it is young its title now and then
	everything
)

// followed returns the pids of which each search needs to know more than that they are there.
func (f *Finder) followed() map[int]bool {
	all := map[int]bool{1: true, f.sys.self: true}
	for id := range f.targets {
		all[id.pid] = true
	}
	for id := range f.kin {
		all[id.pid] = true
	}
	return all
}

// asBefore reports whether a listed process need not be read, and notes that it is there.
func (f *Finder) asBefore(p listed, d depth) bool {
	k, ok := f.known[p.pid]
	if !ok || !p.is(k) || d == everything {
		return false
	}
	if d == namesToo {
		comm, err := f.sys.comm(p.pid)
		if err != nil || comm != k.comm || f.due(k) {
			return false
		}
	}
	k.seen = f.searches
	f.known[p.pid] = k
	return true
}

// due reports whether the title of a process should be read again: when it is twice as old as
// it was then, and when it is settled.
func (f *Finder) due(k known) bool {
	was, is := k.judged-k.started, f.sys.now()-k.started
	return was < settled && is >= min(2*was, settled)
}

// read reads a process, and of its command line what is needed.
func (f *Finder) read(p listed, d depth) (stat, error) {
	st, err := f.sys.stat(p.pid)
	if err != nil {
		return st, err
	}
	k, ok := f.known[p.pid]
	same := ok && k.started == st.started && k.comm == st.comm
	if same {
		st.comm = k.comm // one copy is enough
	}
	if !same || d == everything || f.due(k) {
		k = known{comm: st.comm, started: st.started, judged: f.sys.now()}
		if k.named, k.match, err = f.matches(p.pid, st); err != nil {
			return st, err
		}
	}
	k.inode, k.seen = p.inode, f.searches
	k.parent, k.session, k.ended = int32(st.parent), int32(st.session), st.ended()
	f.known[p.pid] = k
	return st, nil
}

// readAncestors reads the parents of the matches, and theirs, again: a process gets another
// parent when its own has ended, and one that has the name by now makes workers of its children.
func (f *Finder) readAncestors(matches map[int]candidate) error {
	done := make(map[int]bool)
	for _, p := range matches {
		for pid := p.parent; !done[pid]; pid = int(f.known[pid].parent) {
			done[pid] = true
			k, ok := f.known[pid]
			if _, match := matches[pid]; match || !ok {
				continue
			}
			st, err := f.read(listed{pid, k.inode}, everything)
			if hidden(err) || err == nil && st.started != k.started {
				delete(f.known, pid) // it has ended
				continue
			}
			if err != nil {
				return err
			}
			if k := f.known[pid]; k.match && !k.ended {
				matches[pid] = candidate{pid, st}
			}
		}
	}
	return nil
}
