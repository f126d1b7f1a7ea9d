package signal

import "time"

// known is what is remembered of a process from one search to the next.
type known struct {
	comm            string
	started         time.Duration
	search          uint64 // the last that has seen it; 0: none
	parent, session int32
	ended           bool // it is a zombie
	named           bool // it has the name PROCESS
	match           bool // its command line matches too
	sharing         sharing
}

// settled is the age at which a process is expected to have its final title.
const settled = time.Minute

// recall returns what is known of a process, or a new entry if it has to be read.
func (f *Finder) recall(p candidate, whole bool) known {
	k, ok := f.known[p.pid]
	same := ok && k.started == p.started && k.comm == p.comm
	if same && !whole && f.sys.now()-p.started >= settled {
		return k
	}
	if same {
		p.comm = k.comm // one copy is enough
	}
	return known{comm: p.comm, started: p.started}
}
