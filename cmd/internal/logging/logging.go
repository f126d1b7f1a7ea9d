// Package logging is podsignal's log, which never blocks whoever logs.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// New is a log of lines of at least this level, in JSON or as text. Lines that out drops are
// counted in it.
func New(out *Writer, least slog.Level, asJSON bool) *slog.Logger {
	out.reportBy(func(out io.Writer, dropped int) { reportDropped(logTo(out, least, asJSON), least, dropped) })
	return logTo(out, least, asJSON)
}

func logTo(out io.Writer, least slog.Level, asJSON bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: least}
	if asJSON {
		options.ReplaceAttr = inSeconds
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

// inSeconds has a duration logged as a number, under a key that tells the unit: latency_s.
// slog's own JSON has nanoseconds, and nothing says so.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.Float64(a.Key+"_s", a.Value.Duration().Seconds())
	}
	return a
}

// reportDropped is a warning, or an error where no warnings are logged: then all that was
// dropped were errors.
func reportDropped(log *slog.Logger, least slog.Level, lines int) {
	log.Log(context.Background(), max(slog.LevelWarn, least), "log lines were dropped: nobody read them", "lines", lines)
}

// TerminationMessage has kubectl describe pod show why the container has ended
// (terminationMessagePath in the Kubernetes API). Elsewhere there is no such file.
func TerminationMessage(cause error) {
	// Without waiting for the reader of a FIFO.
	f, err := os.OpenFile("/dev/termination-log", os.O_WRONLY|os.O_TRUNC|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	fmt.Fprintln(f, cause)
	f.Close()
}
