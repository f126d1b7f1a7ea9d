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

	"github.com/podsignal/podsignal/signal/procfs"
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
	cmdline  func(pid int) ([]string, error)
	stat     func(pid int) (stat, error)
	status   func(pid int) (status, error)   // of the first thread that lives
	threads  func(pid int) ([]status, error) // of all that live
	mounts   func(pid string) ([]procfs.Mount, error)
	children func(pid int) (map[int]bool, error)
	open     func(pid int) (pidfd int, err error)
	close    func(pidfd int) error

	watchEnds func(ended func()) (endWatch, error)
	send      func(pidfd int, sig syscall.Signal) error
	kill      func(pid int, sig syscall.Signal) error
	now       func() time.Duration // since boot
	isLink    func(path string) bool

	executable func(pid int) string // its base name; empty: it may not be read
}

func newSystem() *system {
	return &system{
		self:     os.Getpid(),
		uid:      os.Geteuid(),
		pids:     pids,
		cmdline:  cmdline,
		stat:     readStat,
		status:   readProcessStatus,
		threads:  readThreads,
		mounts:   readMounts,
		children: readChildren,
		open:     openPidfd,
		close:    unix.Close,

		watchEnds: watchEnds,
		send:      func(pidfd int, sig syscall.Signal) error { return unix.PidfdSendSignal(pidfd, sig, nil, 0) },
		kill:      syscall.Kill,
		now:       procfs.SinceBoot,
		isLink: func(path string) bool {
			info, err := os.Lstat(path)
			return err == nil && info.Mode()&fs.ModeSymlink != 0
		},
		executable: func(pid int) string {
			path, err := os.Readlink(procPath(pid, "exe")) // of another uid: not permitted
			if err != nil {
				return ""
			}
			return filepath.Base(path)
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

// cmdline is read directly, for every process at every search: it takes 6.5 µs and
// 260 bytes, gopsutil's CmdlineSlice 11.4 µs and 2.5 kB (BenchmarkOfOneProcess).
func cmdline(pid int) ([]string, error) {
	var buf [1 << 10]byte
	b, err := readProc(procPath(pid, "cmdline"), buf[:], false)
	if folder := ""; err == nil && len(b) == 0 {
		if folder, err = livingThread(pid); folder != "" {
			b, err = readProc(folder+"/cmdline", buf[:], false)
		}
	}
	if err != nil || len(b) == 0 {
		return nil, err // a kernel thread, or a zombie
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), nil
}

func procPath(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// readProc reads a file into buf, or into more where that is too small, and turns
// the ways in which /proc says that a process has ended into errGone. whole: the file
// is a single record. os.ReadFile takes twice the system calls and more: it asks for
// the file's size, and whether it can be polled.
func readProc(path string, buf []byte, whole bool) ([]byte, error) {
	fd, err := openProc(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for n := 0; ; {
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		m, err := unix.Read(fd, buf[n:])
		if m <= 0 || err != nil {
			return buf[:n], gone(path, err)
		}
		n += m
		// Files that are one record end with a read that does not fill the buffer
		// (seq_read_iter in fs/seq_file.c); there is no need to ask once more.
		if whole && n < len(buf) {
			return buf[:n], nil
		}
	}
}

func openProc(path string) (fd int, err error) {
	fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return fd, gone(path, err)
}

func gone(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		err = errGone
	}
	return fmt.Errorf("reading %s: %w", path, err)
}

// stat is what /proc/PID/stat tells. It is read directly: gopsutil's create time
// is in whole seconds, and a start time is compared to 10 ms. It takes 8 µs, where
// gopsutil's Name, Ppid and CreateTime take 70 together (BenchmarkOfOneProcess).
type stat struct {
	comm    string // at most 15 bytes, of any kind
	state   byte   // of the first thread
	parent  int
	session int
	threads int
	started time.Duration // since boot, in ticks of 10 ms
}

// ended tells whether the process is a zombie: it keeps its name and takes
// signals, but does nothing with them. While other threads live, it is none, even if
// its first has ended: that stays until they have ended too (pthread_exit(3)).
func (s stat) ended() bool { return dead(s.state) && s.threads < 2 }

// dead tells whether that is the state of a thread that has ended.
func dead(state byte) bool { return state == 'Z' || state == 'X' || state == 'x' }

func readStat(pid int) (stat, error) {
	var buf [1 << 10]byte
	b, err := readProc(procPath(pid, "stat"), buf[:], true)
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
		return stat{}, fmt.Errorf("parsing /proc/PID/stat: no name in %q", string(b))
	}
	st := stat{comm: string(b[open+1 : end])}
	const state, parent, session, threads, started = 3, 4, 6, 20, 22 // fields, counted from 1
	rest := bytes.TrimSpace(b[end+1:])
	for field := state; field <= started; field++ {
		var text []byte
		var err error
		text, rest, _ = bytes.Cut(rest, []byte(" "))
		switch field {
		case state:
			if len(text) != 1 {
				return stat{}, fmt.Errorf("parsing /proc/PID/stat: no state in %q", string(b))
			}
			st.state = text[0]
		case parent:
			st.parent, err = strconv.Atoi(string(text))
		case session:
			st.session, err = strconv.Atoi(string(text))
		case threads:
			st.threads, err = strconv.Atoi(string(text))
		case started:
			var ticks int64
			ticks, err = strconv.ParseInt(string(text), 10, 64)
			st.started = time.Duration(ticks) * tick
		}
		if err != nil {
			return stat{}, fmt.Errorf("parsing /proc/PID/stat: field %d: %w", field, err)
		}
	}
	return st, nil
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

// unescaped undoes the escapes that the kernel puts into names there.
var unescaped = strings.NewReplacer(`\n`, "\n", `\\`, `\`)

func readStatus(path string) (status, error) {
	var buf [4 << 10]byte
	b, err := readProc(path, buf[:], true)
	if err != nil {
		return status{}, err
	}
	return parseStatus(b)
}

// readProcessStatus reads that of the process's first thread, and if that has ended, of
// another, which has the first one's name here: the process goes by that.
func readProcessStatus(pid int) (status, error) {
	st, err := readStatus(procPath(pid, "status"))
	if err != nil || !dead(st.state) {
		return st, err
	}
	folder, err := livingThread(pid)
	if err != nil || folder == "" {
		return st, err
	}
	comm := st.comm
	st, err = readStatus(folder + "/status")
	st.comm = comm
	return st, err
}

// parseStatus reads the lines of proc_pid_status(5) that matter here. It makes no
// garbage, and stops behind the last of them: it runs between a change and its signal.
func parseStatus(b []byte) (s status, err error) {
	mask := func(v []byte) uint64 {
		n, e := strconv.ParseUint(string(v), 16, 64)
		err = errors.Join(err, e)
		return n
	}
	number := func(v []byte) int {
		n, e := strconv.Atoi(string(v))
		err = errors.Join(err, e)
		return n
	}
	const name, state, uid, blocked, ignored, catch, all = 1, 2, 4, 8, 16, 32, 63
	for found := 0; found != all && err == nil; {
		if len(b) == 0 {
			err = errors.New("a field is missing")
			break
		}
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		key, value, _ := bytes.Cut(line, []byte(":\t"))
		if string(key) == "Name" { // of any bytes
			s.comm = unescaped.Replace(string(value))
			found |= name
			continue
		}
		first, rest, _ := bytes.Cut(value, []byte("\t"))
		if len(first) == 0 {
			continue
		}
		switch string(key) {
		case "State":
			s.state = first[0]
			found |= state
		case "Uid":
			_, saved, _ := bytes.Cut(rest, []byte("\t"))
			saved, _, _ = bytes.Cut(saved, []byte("\t"))
			s.uid, s.savedUID = number(first), number(saved)
			found |= uid
		case "NSpid": // absent without CONFIG_PID_NS
			s.innermost = number(value[bytes.LastIndexByte(value, '\t')+1:])
		case "SigBlk":
			s.blocked = mask(first)
			found |= blocked
		case "SigIgn":
			s.ignored = mask(first)
			found |= ignored
		case "SigCgt":
			s.catch = mask(first)
			found |= catch
		}
	}
	if err != nil {
		return status{}, fmt.Errorf("parsing /proc/PID/status: %w", err)
	}
	return s, nil
}

// readThreads reads the status of each thread that lives: masks of blocked signals are
// a thread's own, and which one takes a signal the program decides.
func readThreads(pid int) ([]status, error) {
	var all []status
	err := eachThread(pid, func(folder string) error {
		s, err := readStatus(folder + "/status")
		if err == nil && !dead(s.state) {
			all = append(all, s)
		}
		return err
	})
	return all, err
}

// readChildren reads what each thread has forked.
func readChildren(pid int) (map[int]bool, error) {
	children := make(map[int]bool)
	err := eachThread(pid, func(folder string) error {
		var buf [1 << 10]byte
		b, err := readProc(folder+"/children", buf[:], false)
		for field := range bytes.FieldsSeq(b) {
			child, bad := strconv.Atoi(string(field))
			err = errors.Join(err, bad)
			children[child] = true
		}
		return err
	})
	return children, err
}

// livingThread is the folder in /proc of a thread other than the first that lives, or
// empty if there is none: when the first has ended, its cmdline is empty, and to read its
// mountinfo fails with EINVAL (its mm and its namespaces are gone, do_exit in kernel/exit.c).
func livingThread(pid int) (living string, err error) {
	first := procPath(pid, "task/") + strconv.Itoa(pid)
	err = eachThread(pid, func(folder string) error {
		if living != "" || folder == first {
			return nil
		}
		var buf [1 << 10]byte
		b, err := readProc(folder+"/stat", buf[:], true)
		if err != nil {
			return err
		}
		st, err := parseStat(b)
		if err == nil && !dead(st.state) {
			living = folder
		}
		return err
	})
	return living, err
}

// eachThread calls f for the folder of each thread in /proc/PID/task. There are none
// of a process that has ended, and a thread that has ended is passed over.
func eachThread(pid int, f func(folder string) error) error {
	task := procPath(pid, "task")
	// The links of that folder are one for each thread and two more (proc_task_getattr
	// in fs/proc/base.c). That of a single thread need not be looked for.
	var st unix.Stat_t
	if unix.Stat(task, &st) == nil && st.Nlink == 3 {
		if err := f(task + "/" + strconv.Itoa(pid)); !errors.Is(err, errGone) {
			return err
		}
		return nil
	}
	fd, err := openProc(task)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		var buf [2 << 10]byte
		n, err := unix.ReadDirent(fd, buf[:])
		if err = gone(task, err); err != nil && !errors.Is(err, errGone) {
			return err
		}
		if n <= 0 {
			return nil
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if err := f(task + "/" + name); err != nil && !errors.Is(err, errGone) {
				return err
			}
		}
	}
}
