package signal

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Ended receives when a target of the last Find has ended, soon after that. It tells
// of no target that is not Watched, and not which one it was: ask Target.Ended, or
// look again. Several ends may be told as one.
func (f *Finder) Ended() <-chan struct{} { return f.ended }

// Watched tells whether Finder.Ended tells of the target's end. It does not where
// there is no pidfd: the kernel is too old, a seccomp profile forbids it, or file
// descriptors are short.
func (t *Target) Watched() bool { return t.watched }

// Ended tells whether the process is gone, or a zombie, or cannot be seen any more.
func (t *Target) Ended() bool {
	st, err := t.finder.sys.stat(t.PID)
	if err != nil {
		return hidden(err) // anything else says nothing of the process
	}
	return st.ended() || st.started != t.Started
}

// watch has the end of a target told. If that is not possible now, Find tries again.
func (f *Finder) watch(t *Target) {
	if t.watched || t.pidfd < 0 || f.ended == nil {
		return
	}
	if f.ends == nil {
		ends, err := f.sys.watchEnds(func() {
			select {
			case f.ended <- struct{}{}:
			default: // it has yet to be taken, and leads to a look at all of them
			}
		})
		if err != nil {
			return
		}
		f.ends = &ends
	}
	t.watched = f.ends.add(t.pidfd) == nil
}

// rest gives back what is held for all targets, when there are none.
func (f *Finder) rest() {
	if f.ends != nil {
		_ = f.ends.close()
		f.ends = nil
	}
}

// endWatch watches pidfds.
type endWatch struct {
	add    func(pidfd int) error
	remove func(pidfd int) error
	close  func() error
}

// watchEnds calls ended after processes have ended whose pidfds were added. A pidfd can
// be read from then on (pidfd_open(2)): when the last thread is gone, also while there is
// still a zombie. One descriptor and one goroutine, which sleeps in Go's poller, do for
// all, so that the pidfds themselves remain free to be used and closed.
func watchEnds(ended func()) (endWatch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return endWatch{}, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else the poller is not used
		_ = unix.Close(fd)
		return endWatch{}, err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	// This fails where the poller has not taken it: then a read would take a thread.
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		_ = file.Close()
		return endWatch{}, err
	}
	conn, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return endWatch{}, err
	}
	go func() {
		some := func(fd uintptr) bool {
			var events [16]unix.EpollEvent
			n, _ := unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		}
		for conn.Read(some) == nil { // it fails when the file is closed
			ended()
		}
	}()
	control := func(op, pidfd int) (err error) {
		// Each is told once: a process that has ended stays readable.
		event := &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}
		if closed := conn.Control(func(fd uintptr) { err = unix.EpollCtl(int(fd), op, pidfd, event) }); closed != nil {
			return closed
		}
		return err
	}
	return endWatch{
		add:    func(pidfd int) error { return control(unix.EPOLL_CTL_ADD, pidfd) },
		remove: func(pidfd int) error { return control(unix.EPOLL_CTL_DEL, pidfd) },
		close:  file.Close,
	}, nil
}

// pidfdLimit keeps some of the file descriptors for everything else: the pidfds of many
// targets would take all of them, and nothing could be read any more.
func pidfdLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	most := int(limit.Cur)
	return most - min(most/2, 64)
}

// openPidfd opens one, unless descriptors are short: the lowest that is free is used
// (open(2)), so that its number tells.
func openPidfd(pid int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil && pidfd >= pidfdLimit() {
		_ = unix.Close(pidfd)
		return -1, unix.EMFILE
	}
	return pidfd, err
}
