package signal

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// status holds fields of a thread's /proc/PID/status. It is read directly, because gopsutil
// does not offer the signal masks.
type status struct {
	comm                    string
	state                   byte
	uid, savedUID           int
	innermost               int // the pid in the namespace that the process sees
	blocked, ignored, catch uint64
}

// unescaped undoes the kernel's escapes in the name there.
var unescaped = strings.NewReplacer(`\n`, "\n", `\\`, `\`)

func readStatus(path string) (status, error) {
	var buf [4 << 10]byte
	b, err := readProc(path, buf[:], true)
	if err != nil {
		return status{}, err
	}
	return parseStatus(b)
}

// readProcessStatus reads the status of the process's first thread. If that has ended, it
// reads that of another thread, with the first one's name, which is the process's.
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

// parseStatus parses the lines of proc_pid_status(5) that are needed. It avoids garbage, and
// stops after the last of them: it runs between a change and its signal.
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
