package signal

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// system is the fake's kernel.
func (f *fake) system() *system {
	find := func(call string, pid int) (*proc, error) {
		f.calls = append(f.calls, fmt.Sprint(call, " ", pid))
		p, ok := f.procs[pid]
		if !ok {
			return nil, errGone
		}
		return p, p.hidden
	}
	signal := func(p *proc, sig syscall.Signal) error {
		if f.denied == nil {
			p.got = append(p.got, sig)
		}
		return f.denied
	}
	return &system{
		self:    us,
		mayKill: func() bool { return f.mayKill },
		list: func(all []listed) ([]listed, error) {
			for _, pid := range slices.Backward(slices.Sorted(maps.Keys(f.procs))) {
				p := listed{pid: pid}
				if !f.noInodes {
					p.inode = f.procs[pid].inode()
				}
				all = append(all, p)
			}
			return all, nil
		},
		comm: func(pid int) (string, error) {
			p, err := find("comm", pid)
			if err != nil {
				return "", err
			}
			return p.comm, nil
		},
		cmdline: func(pid int) ([]string, error) {
			p, err := find("cmdline", pid)
			if err != nil {
				return nil, err
			}
			return p.args, nil
		},
		stat: func(pid int) (stat, error) {
			p, err := find("stat", pid)
			if err != nil {
				return stat{}, err
			}
			return p.stat(), nil
		},
		status: func(pid int) (status, error) {
			p, err := find("status", pid)
			if err != nil {
				return status{}, err
			}
			return p.status(), nil
		},
		threads: func(pid int) ([]status, error) {
			p, err := find("threads", pid)
			if err != nil {
				return nil, err
			}
			all := []status{p.status()}
			for _, blocked := range p.others {
				thread := p.status()
				thread.blocked = blocked
				all = append(all, thread)
			}
			return all, nil
		},
		mounts: func(pid string) ([]procfs.Mount, error) {
			if pid == "self" {
				return f.ours, nil
			}
			for _, p := range f.procs {
				if fmt.Sprint(p.pid) == pid {
					return p.mounts, p.unreadable
				}
			}
			return nil, errGone
		},
		children: func(pid int) (map[int]bool, error) {
			all := make(map[int]bool)
			for _, p := range f.procs {
				if p.parent == pid {
					all[p.pid] = true
				}
			}
			return all, nil
		},
		open: func(pid int) (int, error) {
			p, err := find("open", pid)
			if f.noPidfd != nil {
				return 0, f.noPidfd
			}
			if err != nil {
				return 0, unix.ESRCH
			}
			fd := 0 // a valid pidfd: podsignal may run without a standard input
			for f.pidfds[fd] != nil {
				fd++
			}
			f.pidfds[fd] = p
			return fd, nil
		},
		close: func(fd int) error {
			if f.pidfds[fd] == nil || f.watched[fd] {
				f.t.Errorf("close(%d), which is not open, or watched", fd)
				return unix.EBADF
			}
			delete(f.pidfds, fd)
			return nil
		},
		send: func(fd int, sig syscall.Signal) error {
			p := f.pidfds[fd]
			switch {
			case p == nil:
				f.t.Errorf("send(%d), which is not open", fd)
				return unix.EBADF
			case f.procs[p.pid] != p:
				return unix.ESRCH
			}
			f.calls = append(f.calls, fmt.Sprint("send ", p.pid))
			return signal(p, sig)
		},
		kill: func(pid int, sig syscall.Signal) error {
			p, err := find("kill", pid)
			if err != nil {
				return unix.ESRCH
			}
			return signal(p, sig)
		},
		watchEnds: f.watchEnds,
		now:       func() time.Duration { return f.now },
		executable: func(pid int) string {
			if p, ok := f.procs[pid]; ok {
				return p.executable
			}
			return ""
		},
		isLink: func(path string) bool { return f.links[path] },
	}
}

func (f *fake) watchEnds(ended func()) (endWatch, error) {
	if f.noEnds != nil {
		return endWatch{}, f.noEnds
	}
	if f.ended != nil {
		f.t.Error("ends are watched twice")
	}
	f.ended = ended
	change := func(fd int, to bool) error {
		if f.pidfds[fd] == nil || f.watched[fd] == to {
			f.t.Errorf("watched(%d) becomes %t, again or of nothing", fd, to)
			return unix.EINVAL
		}
		f.watched[fd] = to
		return nil
	}
	return endWatch{
		add:    func(fd int) error { return change(fd, true) },
		await:  func(int) error { return nil },
		remove: func(fd int) error { return change(fd, false) },
		close:  func() error { f.ended = nil; return nil },
	}, nil
}
