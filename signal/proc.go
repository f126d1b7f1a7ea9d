package signal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"
)

// tick is the unit of start times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on (proc(5), sysconf(3)).
const tick = 10 * time.Millisecond

// errGone says that a process has ended.
var errGone = errors.New("no such process")

// system is all that is asked of the operating system about processes.
type system struct {
	self     int // our pid
	uid      int // our effective uid
	pids     func(context.Context) ([]int32, error)
	cmdline  func(context.Context, int) ([]string, error)
	stat     func(pid int) (stat, error)
	status   func(pid int) (status, error)   // of the first thread
	threads  func(pid int) ([]status, error) // of all
	mounts   func(pid string) ([]mount, error)
	children func(pid int) (map[int]bool, error)
	open     func(pid int) (pidfd int, err error)
	close    func(pidfd int) error
	send     func(pidfd int, sig syscall.Signal) error
	kill     func(pid int, sig syscall.Signal) error
	now      func() time.Duration // since boot
	isLink   func(path string) bool
}

func newSystem() *system {
	return &system{
		self:     os.Getpid(),
		uid:      os.Geteuid(),
		pids:     pids,
		cmdline:  cmdline,
		stat:     readStat,
		status:   func(pid int) (status, error) { return readStatus(procPath(pid, "status")) },
		threads:  readThreads,
		mounts:   readMounts,
		children: readChildren,
		open:     func(pid int) (int, error) { return unix.PidfdOpen(pid, 0) },
		close:    unix.Close,
		send:     func(pidfd int, sig syscall.Signal) error { return unix.PidfdSendSignal(pidfd, sig, nil, 0) },
		kill:     syscall.Kill,
		now:      boottime,
		isLink: func(path string) bool {
			info, err := os.Lstat(path)
			return err == nil && info.Mode()&fs.ModeSymlink != 0
		},
	}
}

// ourProc keeps gopsutil in /proc: by itself it follows the variable HOST_PROC,
// which images with monitoring agents set.
func ourProc(ctx context.Context) context.Context {
	return context.WithValue(ctx, common.EnvKey, common.EnvMap{common.HostProcEnvKey: "/proc"})
}

func pids(ctx context.Context) ([]int32, error) {
	return process.PidsWithContext(ourProc(ctx))
}

func cmdline(ctx context.Context, pid int) ([]string, error) {
	// Not NewProcess: that reads the process's create time, which is not needed.
	p := process.Process{Pid: int32(pid)}
	return p.CmdlineSliceWithContext(ourProc(ctx))
}

func procPath(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// readProc turns the ways in which /proc says that a process has ended into errGone.
func readProc(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("reading %s: %w", path, errGone)
	}
	return b, err
}

// stat is what /proc/PID/stat tells. It is read directly: gopsutil's create time
// is in whole seconds, and a start time is compared to 10 ms.
type stat struct {
	comm    string // at most 15 bytes, of any kind
	state   byte
	parent  int
	started time.Duration // since boot, in ticks of 10 ms
}

// ended tells whether the process is a zombie: it keeps its name and takes
// signals, but does nothing with them.
func (s stat) ended() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

func readStat(pid int) (stat, error) {
	b, err := readProc(procPath(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat reads the line of proc_pid_stat(5). The name stands between the first
// and the last parenthesis, and may hold spaces, newlines and parentheses.
func parseStat(b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("parsing /proc/PID/stat: no name in %q", b)
	}
	const state, parent, started = 3, 4, 22 // fields, counted from 1
	fields := bytes.Fields(b[end+1:])
	if len(fields) <= started-state || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("parsing /proc/PID/stat: too few fields in %q", b)
	}
	ppid, err := strconv.Atoi(string(fields[parent-state]))
	if err != nil {
		return stat{}, fmt.Errorf("parsing /proc/PID/stat: parent: %w", err)
	}
	ticks, err := strconv.ParseInt(string(fields[started-state]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("parsing /proc/PID/stat: start time: %w", err)
	}
	return stat{string(b[open+1 : end]), fields[0][0], ppid, time.Duration(ticks) * tick}, nil
}

// status is what /proc/PID/status tells of a thread. It is read directly, because
// gopsutil does not offer the signal masks.
type status struct {
	comm                    string
	state                   byte
	uid, savedUID           int
	innermost               int // the pid in the namespace that the process sees
	blocked, ignored, catch uint64
}

// plain undoes the escapes that the kernel puts into names there.
var plain = strings.NewReplacer(`\n`, "\n", `\\`, `\`)

func readStatus(path string) (status, error) {
	b, err := readProc(path)
	if err != nil {
		return status{}, err
	}
	return parseStatus(b)
}

// parseStatus reads the lines of proc_pid_status(5) that matter here.
func parseStatus(b []byte) (s status, err error) {
	mask := func(v string) uint64 {
		n, e := strconv.ParseUint(v, 16, 64)
		err = errors.Join(err, e)
		return n
	}
	number := func(v string) int {
		n, e := strconv.Atoi(v)
		err = errors.Join(err, e)
		return n
	}
	found := make(map[string]bool, 6)
	for line := range bytes.Lines(b) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":\t")
		fields := strings.Fields(value)
		if len(fields) == 0 && key != "Name" {
			continue
		}
		switch key {
		case "Name":
			s.comm = plain.Replace(value)
		case "State":
			s.state = fields[0][0]
		case "Uid":
			if len(fields) < 3 {
				return status{}, fmt.Errorf("parsing /proc/PID/status: %q", line)
			}
			s.uid, s.savedUID = number(fields[0]), number(fields[2])
		case "NSpid":
			s.innermost = number(fields[len(fields)-1])
			continue // absent without CONFIG_PID_NS
		case "SigBlk":
			s.blocked = mask(fields[0])
		case "SigIgn":
			s.ignored = mask(fields[0])
		case "SigCgt":
			s.catch = mask(fields[0])
		default:
			continue
		}
		found[key] = true
	}
	if err != nil || len(found) < 6 {
		return status{}, fmt.Errorf("parsing /proc/PID/status: fields missing or unreadable in %q", b)
	}
	return s, nil
}

// readThreads reads the status of each thread: masks of blocked signals are a
// thread's own, and which one takes a signal the program decides.
func readThreads(pid int) ([]status, error) {
	paths, err := filepath.Glob(procPath(pid, "task/*/status"))
	if err != nil {
		return nil, err
	}
	var all []status
	for _, path := range paths {
		s, err := readStatus(path)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// boottime is the time since boot, in which start times count (clock_gettime(2)).
func boottime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
