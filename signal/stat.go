package signal

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// tick is the unit of start times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on (proc(5), sysconf(3)).
const tick = 10 * time.Millisecond

// stat holds fields of /proc/PID/stat. It is read directly: gopsutil's create time is in
// whole seconds, and start times are compared to 10 ms. It takes 8 µs, where gopsutil's Name,
// Ppid and CreateTime together take 70 (BenchmarkOfOneProcess).
type stat struct {
	comm    string // at most 15 bytes, of any kind
	state   byte   // of the first thread
	parent  int
	session int
	threads int
	started time.Duration // since boot, in ticks of 10 ms
}

// ended reports whether the process is a zombie, which keeps its name and accepts signals,
// but does nothing with them. It is not while other threads live: the first one, if it has
// ended, stays until they have ended too (pthread_exit(3)).
func (s stat) ended() bool { return dead(s.state) && s.threads < 2 }

// dead reports whether a state is that of a thread that has ended.
func dead(state byte) bool { return state == 'Z' || state == 'X' || state == 'x' }

func readStat(pid int) (stat, error) {
	var buf [1 << 10]byte
	b, err := readProc(procPath(pid, "stat"), buf[:], true)
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat parses the line of proc_pid_stat(5). The name is between the first and the last
// parenthesis, and may contain spaces, newlines and parentheses.
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
