package verify

import "slices"

// Renew drops what podsignal has opened itself for a snapshot, and has the opening of the
// files that it shows noticed.
func (s *Set) Renew() {
	if s.opens == nil {
		return
	}
	s.opens.Seen()
	if s.opens.Renew() != nil {
		s.Close() // those of before would say that nothing was opened
	}
	s.await()
}

// await has the next opening of a file lead to Wake, if there is a signal to which that matters.
func (s *Set) await() {
	matters := func(v *Signal) bool { return v.readable && !v.read && !v.ended }
	if s.opens == nil || s.paused || s.awaits || !slices.ContainsFunc(s.watched, matters) {
		return
	}
	s.awaits = s.opts.Await(s.opens.FD()) == nil // else it is looked for
}

// Close gives the inotify instance back. The kernel takes some 10 ms for that.
func (s *Set) Close() {
	if s.opens != nil {
		_ = s.opens.Close() // nothing was written
		s.opens, s.awaits = nil, false
	}
}

// Pause has the opening of files count for no signal until Resume: a validator reads them.
func (s *Set) Pause() {
	s.noteOpens()
	s.paused = true
}

// Resume ends a Pause. Of a signal that was watched meanwhile, it is unknown whether the files
// were opened for it, unless they had been before.
func (s *Set) Resume() {
	s.paused = false
	if s.opens != nil {
		s.opens.Seen()
	}
	for _, v := range s.watched {
		v.readable = v.readable && v.read
	}
	s.await()
}

// noteOpens credits what was opened to all whose effect is being watched.
func (s *Set) noteOpens() {
	if s.opens == nil || s.paused || !s.opens.Seen() {
		return
	}
	for _, v := range s.watched {
		v.read = v.read || v.readable
	}
}
