package signal

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"

	"github.com/podsignal/podsignal/signal/procfs"
)

// system is the one seam to the operating system: all that is asked of it about processes.
type system struct {
	self    int                  // our pid
	uid     int                  // our effective uid
	mayKill func() bool          // we have the capability KILL
	now     func() time.Duration // since boot

	// What /proc says.
	list       func([]listed) ([]listed, error) // appends
	comm       func(pid int) (string, error)    // the name in stat
	stat       func(pid int) (stat, error)
	status     func(pid int) (status, error)   // of the first thread that lives
	threads    func(pid int) ([]status, error) // of all that live
	cmdline    func(pid int) ([]string, error)
	children   func(pid int) (map[int]bool, error)
	executable func(pid int) string // its base name; empty: not readable
	mounts     func(pid string) ([]procfs.Mount, error)
	isLink     func(path string) bool

	// What acts on a process.
	open      func(pid int) (pidfd int, err error)
	close     func(pidfd int) error
	watchEnds func(ended func()) (endWatch, error)
	send      func(pidfd int, sig syscall.Signal) error
	kill      func(pid int, sig syscall.Signal) error
}

func newSystem() *system {
	return &system{
		self:    os.Getpid(),
		uid:     os.Geteuid(),
		mayKill: mayKill,
		now:     procfs.SinceBoot,

		list:       list,
		comm:       readComm,
		stat:       readStat,
		status:     readProcessStatus,
		threads:    readThreads,
		cmdline:    cmdline,
		children:   readChildren,
		executable: executable,
		mounts:     readMounts,
		isLink: func(path string) bool {
			info, err := os.Lstat(path)
			return err == nil && info.Mode()&fs.ModeSymlink != 0
		},

		open:      openPidfd,
		close:     unix.Close,
		watchEnds: watchEnds,
		send:      func(pidfd int, sig syscall.Signal) error { return unix.PidfdSendSignal(pidfd, sig, nil, 0) },
		kill:      syscall.Kill,
	}
}

// executable asks gopsutil, which on its own follows the variable HOST_PROC, which images with
// monitoring agents set.
func executable(pid int) string {
	ours := context.WithValue(context.Background(), common.EnvKey, common.EnvMap{common.HostProcEnvKey: "/proc"})
	path, err := (&process.Process{Pid: int32(pid)}).ExeWithContext(ours) // of another uid: not permitted
	if err != nil {
		return ""
	}
	return filepath.Base(path)
}

// mayKill tells whether the capability KILL is effective (capabilities(7)).
func mayKill() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_KILL) != 0
}
