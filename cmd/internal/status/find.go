package status

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNoSidecar says that no podsignal runs in this container.
var ErrNoSidecar = errors.New("no podsignal is running in this container: run podsignal status where it runs, by kubectl exec POD -c podsignal -- /podsignal status")

// Read returns what podsignal says of its rules, in their order; if several run in this
// container, what each says. The error is ErrNoSidecar if there is none. Other containers, whose
// mounts are others, are not asked: a process there may pretend to be podsignal.
func Read() (all []Document, err error) {
	here, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range processes {
		if pid, err := strconv.Atoi(p.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		folder := fmt.Sprintf("/proc/%d", pid)
		if there, err := os.Readlink(folder + "/ns/mnt"); err != nil || there != here {
			continue // it has ended, or belongs to another container
		}
		rules, err := readOf(folder)
		if err != nil {
			return nil, err
		}
		all = append(all, rules...)
	}
	if len(all) == 0 {
		return nil, ErrNoSidecar
	}
	return all, nil
}

// readOf returns what the process with this folder says.
func readOf(folder string) (all []Document, err error) {
	descriptors, _ := filepath.Glob(folder + "/fd/*") // the pattern is valid
	number := func(path string) int { n, _ := strconv.Atoi(filepath.Base(path)); return n }
	slices.SortFunc(descriptors, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	for _, path := range descriptors {
		if to, err := os.Readlink(path); err != nil || !strings.HasPrefix(to, "/memfd:"+memoryFile+" ") {
			continue
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || err == nil && len(content) == 0 {
			continue // it has been closed meanwhile, or is being started
		}
		if err != nil {
			return nil, err
		}
		var d Document
		if err := json.Unmarshal(content, &d); err != nil {
			return nil, fmt.Errorf("reading the status of podsignal: %w", err)
		}
		all = append(all, d)
	}
	return all, nil
}
