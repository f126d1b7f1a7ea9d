// Package validate runs the command that says whether a configuration is valid, VALIDATE.
package validate

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-shellwords"
	"golang.org/x/sys/unix"
)

// Within is how long a command may take.
const Within = 30 * time.Second

// drainWithin is how long what a command has written is waited for after its end. What it has
// left behind outside of its process group may hold the other end for ever.
const drainWithin = 100 * time.Millisecond

// Parse splits VALIDATE into words as a shell does, with its quotes and backslashes, and
// nothing else of it. The text of the error is to follow NAME="value".
func Parse(value string) (args []string, err error) {
	parser := shellwords.NewParser()
	args, err = parser.Parse(value)
	switch {
	case err != nil || parser.Position >= 0:
		return nil, errors.New("cannot be split into words: close its quotes, and run what needs a shell by one, such as sh -c 'nginx -t 2>&1'")
	case len(args) == 0 || args[0] == "":
		return nil, errors.New("has no command: use the one that validates the program's configuration, such as nginx -t -q")
	}
	return args, nil
}

// Find tells whether there is such a command. The text of the error is to follow NAME="value".
func Find(command string) error {
	_, err := exec.LookPath(command)
	if err == nil {
		return nil
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return fmt.Errorf("cannot run here (%w): run podsignal in the program's image, as podsignal inject --validate does", err)
}

// An Error is that a command has failed.
type Error struct {
	cause  error
	Output string // the last lines that it wrote, as the log may show them
}

// Error says how it has failed, and nothing of what it wrote: that may be secret.
func (e *Error) Error() string { return "VALIDATE failed: " + e.cause.Error() }

// Unwrap is how it has failed.
func (e *Error) Unwrap() error { return e.cause }

// errTooLong is that of a command that did not end.
var errTooLong = fmt.Errorf("it has not ended within %v", Within)

// Run runs a command to its end, without a shell, and returns nil if its status is 0; else the
// error is an *Error. When ctx is done, or it has taken too long, it is killed. Whatever it has
// left behind in its process group is killed too.
func Run(ctx context.Context, args []string) error {
	limited, cancel := context.WithTimeoutCause(ctx, Within, errTooLong)
	defer cancel()
	var written tail
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // it is killed with its process group
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = &written, &written
	cmd.WaitDelay = drainWithin
	if err := own.start(cmd); err != nil {
		return &Error{cause: err}
	}
	group := cmd.Process.Pid
	exited := make(chan struct{})
	go func() { awaitExit(group); close(exited) }()
	select {
	case <-exited:
	case <-limited.Done():
	}
	// As long as it has not been waited for, no other group can have this number.
	_ = unix.Kill(-group, unix.SIGKILL) // it may have left nothing behind
	<-exited
	err := cmd.Wait()
	own.waited(group)
	var status *exec.ExitError
	switch {
	case limited.Err() != nil:
		err = context.Cause(limited)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &status) && status.Sys().(syscall.WaitStatus).Signaled():
		err = fmt.Errorf("it was ended by %s", unix.SignalName(status.Sys().(syscall.WaitStatus).Signal()))
	}
	return &Error{cause: err, Output: written.lastLines()}
}

// awaitExit waits until a child has ended, and leaves it to be waited for.
func awaitExit(pid int) {
	for {
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// What is kept of the output of a command.
const (
	maxLines = 5
	maxBytes = 1 << 10
)

// A tail keeps the end of what is written to it. One goroutine may write to it.
type tail struct{ end []byte }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, n-maxBytes):]
	keep := min(len(t.end), maxBytes-len(p))
	t.end = append(t.end[:copy(t.end, t.end[len(t.end)-keep:])], p...)
	return n, nil
}

// lastLines are those that the tail has, at most five.
func (t *tail) lastLines() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.end), ""))
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-maxLines):], "\n")
}
