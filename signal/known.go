package signal

import "time"

// known is what is remembered of a process from one look to the next.
type known struct {
	comm            string
	started         time.Duration
	look            uint64 // the last at which it was there
	parent, session int32
	ended           bool // it is a zombie
	named           bool // as was asked for
	match           bool // and with such a command line
	sharing         sharing
}

// settled is the age from which on a process is expected to have the title that it keeps.
const settled = time.Minute

// recall is what is known of a process, or what it has to be known by if it is to be
// read.
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
