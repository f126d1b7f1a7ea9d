package signal

import (
	"path/filepath"
	"strings"
)

// nameLimit is the number of bytes of a process's name that the kernel keeps
// (TASK_COMM_LEN without the final zero, proc_pid_comm(5)).
const nameLimit = 15

// isNamed reports whether a process has a name: the kernel's in full, or one from its title.
func isNamed(name, comm string, args []string) bool {
	if name == fullName(comm, args) {
		return true
	}
	title, word := titleNames(args)
	return name == title || name == word
}

// fullName restores a name that the kernel has cut. The whole name is the base name of what
// was executed: argv[0], or for a script one of the arguments after its interpreter.
func fullName(comm string, args []string) string {
	if len(comm) < nameLimit {
		return comm
	}
	for _, arg := range args[:min(len(args), 3)] {
		if base := filepath.Base(arg); strings.HasPrefix(base, comm) {
			return base
		}
	}
	return comm
}

// titleNames returns two names from argv[0], where programs put their titles: the base name
// of what precedes a colon, as in `nginx: master process`, and of the first word, as in
// `puma 6.4.2 (tcp://0.0.0.0:3000)`. Both may be empty.
func titleNames(args []string) (title, word string) {
	if len(args) == 0 || args[0] == "" {
		return "", ""
	}
	title, _, _ = strings.Cut(args[0], ": ")
	word, rest, spaced := strings.Cut(title, " ")
	if spaced && strings.Contains(rest, "/") {
		title = "" // its last part belongs to an argument, as in `unicorn master -c /etc/unicorn.rb`
	} else {
		title = filepath.Base(title)
	}
	if !spaced {
		return title, ""
	}
	return title, filepath.Base(word)
}
