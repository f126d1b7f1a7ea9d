package fleet

import (
	"sync"
	"time"
)

// newest is what the pods have that got it last, of what may not be read from the API: a pod that
// starts gets what the API has, and so does one that its kubelet has just updated. It may be used by
// several goroutines.
type newest struct {
	mu  sync.Mutex
	all map[string]seen // by volume.Wanted's Same
}

type seen struct {
	digest string
	since  time.Time
}

// add notes what a pod has.
func (n *newest) add(same, digest string, since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = make(map[string]seen)
	}
	if was, ok := n.all[same]; !ok || since.After(was.since) {
		n.all[same] = seen{digest, since}
	}
}

// want is the digest that a path is to have, if that is known.
func (n *newest) want(p *Path) (digest string, known bool) {
	if p.Local {
		return "", false
	}
	if p.wanted.Unknown == "" {
		return p.wanted.Digest, p.wanted.Undeliverable == ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	found, ok := n.all[p.wanted.Same]
	return found.digest, ok
}
