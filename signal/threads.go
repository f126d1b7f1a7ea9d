package signal

import (
	"bytes"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// readThreads reads the status of each live thread: each has its own mask of blocked signals,
// and the program decides which one takes a signal.
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

// readChildren reads the pids of the children of all threads.
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

// livingThread returns the folder in /proc of a live thread other than the first, or empty if
// there is none. Once the first has ended, its cmdline is empty and reading its mountinfo
// fails with EINVAL (its mm and its namespaces are gone, do_exit in kernel/exit.c).
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

// eachThread calls f for the folder of each thread in /proc/PID/task. It skips threads that
// have ended, and calls f for none of a process that has.
func eachThread(pid int, f func(folder string) error) error {
	task := procPath(pid, "task")
	// The folder has a link for each thread and two more (proc_task_getattr in
	// fs/proc/base.c). With a single thread there is no need to list it.
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
