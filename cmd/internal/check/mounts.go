package check

import (
	"log/slog"

	"github.com/podsignal/podsignal/signal"
)

// WarnOfSubPaths logs which files can never change in this container, or not in every way.
// A file system that hangs blocks it.
func WarnOfSubPaths(files []string, log *slog.Logger) {
	for _, file := range files {
		on, below, err := signal.SubPaths(file)
		if err != nil {
			log.Debug("mounts unreadable", "err", err)
			return
		}
		for _, s := range append(on, below...) {
			switch s.Kind {
			case signal.KindSubPath:
				log.Warn("file is on a subPath mount: subPath mounts never receive updates; mount the folder",
					"file", file, "mount", s.Point, "stale", s.Stale)
			case signal.KindSingle:
				log.Warn("file is a single-file mount: a file that replaces it on the host is not visible here; mount its folder",
					"file", file, "mount", s.Point, "stale", s.Stale)
			} // the watcher reports stale mounts of folders
		}
	}
}
