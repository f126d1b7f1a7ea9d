package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process and its descendants have used so far, and hold now.
type usage struct {
	cpu            time.Duration
	switches       int // of context, of both kinds
	rss, anon, pss int // KiB
}

func (u usage) minus(before usage) usage {
	u.cpu -= before.cpu
	u.switches -= before.switches
	return u
}

// usageOf asks the kernel. What ends meanwhile counts as soon as its parent has
// waited for it.
func usageOf(pid int) (usage, error) {
	var sum usage
	for _, pid := range tree(pid) {
		if err := sum.add(pid); err != nil && !gone(err) {
			return sum, err
		}
	}
	return sum, nil
}

// cpuOf is the CPU time alone, which costs the process nothing to be asked for.
func cpuOf(pid int) (sum time.Duration, err error) {
	for _, pid := range tree(pid) {
		cpu, err := cpuTime(pid)
		if err != nil && !gone(err) {
			return sum, err
		}
		sum += cpu
	}
	return sum, nil
}

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// tree is the process and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pids // it has ended
	}
	for field := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, tree(child)...)
		}
	}
	return pids
}

func (u *usage) add(pid int) error {
	cpu, err := cpuTime(pid)
	if err != nil {
		return err
	}
	u.cpu += cpu
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		status, err := values(fmt.Sprintf("/proc/%d/task/%s/status", pid, thread.Name()))
		if err != nil {
			return err
		}
		u.switches += status["voluntary_ctxt_switches"] + status["nonvoluntary_ctxt_switches"]
	}
	memory, err := values(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return err
	}
	u.rss += memory["Rss"]
	u.anon += memory["Anonymous"]
	u.pss += memory["Pss"]
	return nil
}

// cpuTime is that of a process, all its threads, and the children that it has waited
// for. Its own is known to the ns by its clock (clock_getcpuclockid(3)); that of the
// children only in ticks of 10 ms, proc_pid_stat(5).
func cpuTime(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED
	var own unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &own); err != nil {
		return 0, unix.ESRCH // EINVAL: there is no such process
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const state, cutime, cstime = 3, 16, 17 // fields, counted from 1
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) <= cstime-state {
		return 0, fmt.Errorf("too few fields in /proc/%d/stat", pid)
	}
	user, errUser := strconv.Atoi(fields[cutime-state])
	system, errSystem := strconv.Atoi(fields[cstime-state])
	children := time.Duration(user+system) * 10 * time.Millisecond
	return time.Duration(own.Nano()) + children, errors.Join(errUser, errSystem)
}

// values are the numbers of a file with lines such as `Rss:   1024 kB`.
func values(path string) (map[string]int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := make(map[string]int)
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); len(fields) > 0 {
			if n, err := strconv.Atoi(fields[0]); err == nil {
				found[key] = n
			}
		}
	}
	return found, nil
}
