package signal

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Ended returns a channel that receives soon after a target of the last Find has ended, or what
// was given to Await can be read. It covers only targets that are Watched, and does not say
// which one ended: ask Target.Ended, or search again. Several ends may be reported as one.
func (f *Finder) Ended() <-chan struct{} { return f.ended }

// Await has the channel of Ended receive too, once, as soon as a descriptor can be read. The
// descriptor may be closed meanwhile. It fails if no target is Watched.
func (f *Finder) Await(fd int) error {
	if f.ends == nil {
		return unix.ENOENT
	}
	return f.ends.await(fd)
}

// Watched reports whether Finder.Ended covers this target. It does not without a pidfd: if
// the kernel is too old, a seccomp profile forbids it, or file descriptors are short.
func (t *Target) Watched() bool { return t.watched }

// Ended reports whether the process is gone, is a zombie, or is no longer visible.
func (t *Target) Ended() bool {
	st, err := t.finder.sys.stat(t.PID)
	if err != nil {
		return hidden(err) // any other error says nothing about the process
	}
	return st.ended() || st.started != t.Started
}

// watch has the end of a target reported. If that is not possible now, the next Find tries
// again.
func (f *Finder) watch(t *Target) {
	if t.watched || t.pidfd < 0 || f.ended == nil {
		return
	}
	if f.ends == nil {
		ends, err := f.sys.watchEnds(func() {
			select {
			case f.ended <- struct{}{}:
			default: // one is waiting already, and leads to a search for all of them
			}
		})
		if err != nil {
			return
		}
		f.ends = &ends
	}
	t.watched = f.ends.add(t.pidfd) == nil
}

// stopWatching closes what watches the ends of targets, when there are none left.
func (f *Finder) stopWatching() {
	if f.ends != nil {
		_ = f.ends.close()
		f.ends = nil
	}
}

// endWatch watches pidfds.
type endWatch struct {
	add    func(pidfd int) error
	await  func(fd int) error // for once, and again if it was awaited before
	remove func(pidfd int) error
	close  func() error
}

// watchEnds calls ended after a process has ended whose pidfd was added. A pidfd becomes
// readable (pidfd_open(2)) when the last thread is gone, even while the process is still a
// zombie. One descriptor and one goroutine, which sleeps in Go's poller, serve all pidfds,
// which remain free to be used and closed.
func watchEnds(ended func()) (endWatch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return endWatch{}, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // otherwise the poller is not used
		_ = unix.Close(fd)
		return endWatch{}, err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	// This fails if the poller did not accept it: then a read would block a thread.
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
			runtime.Gosched() // let a change of the files, should one be reported at the same moment, go first
			var events [16]unix.EpollEvent
			n, _ := unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		}
		for conn.Read(some) == nil { // fails when the file is closed
			ended()
		}
	}()
	control := func(op, watched int) (err error) {
		// Once for each: the pidfd of a process that has ended stays readable.
		event := &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}
		if closed := conn.Control(func(fd uintptr) { err = unix.EpollCtl(int(fd), op, watched, event) }); closed != nil {
			return closed
		}
		return err
	}
	return endWatch{
		add: func(pidfd int) error { return control(unix.EPOLL_CTL_ADD, pidfd) },
		await: func(fd int) error {
			err := control(unix.EPOLL_CTL_MOD, fd)
			if errors.Is(err, unix.ENOENT) { // a new one: the kernel has removed the last when it was closed
				err = control(unix.EPOLL_CTL_ADD, fd)
			}
			return err
		},
		remove: func(pidfd int) error { return control(unix.EPOLL_CTL_DEL, pidfd) },
		close:  file.Close,
	}, nil
}

// pidfdLimit reserves some file descriptors for everything else: the pidfds of many targets
// would use all of them, and nothing could be read any more.
func pidfdLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	most := int(limit.Cur)
	return most - min(most/2, 64)
}

// openPidfd opens a pidfd, unless descriptors are short. The kernel uses the lowest free
// number (open(2)), so the number shows how many are in use.
func openPidfd(pid int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil && pidfd >= pidfdLimit() {
		_ = unix.Close(pidfd)
		return -1, unix.EMFILE
	}
	return pidfd, err
}
