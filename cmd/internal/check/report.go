package check

// Level is how good or bad something is.
type Level string

// The levels.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn" // it works, but not as well as it could
	LevelFail Level = "fail" // it does not work
)

// A Report is what podsignal check finds. With --json it is printed as it is:
// fields may be added to it, but none is renamed or removed.
type Report struct {
	Version   string          `json:"version"`
	Rule      string          `json:"rule,omitempty"`
	UID       int             `json:"uid"` // podsignal's
	Process   string          `json:"process,omitempty"`
	Signal    string          `json:"signal,omitempty"` // its name without SIG
	URL       string          `json:"url,omitempty"`    // that is called instead
	Verdict   Level           `json:"verdict"`
	Findings  []Finding       `json:"findings"`
	Files     []FileReport    `json:"files"`
	Folders   []string        `json:"folders"` // to be watched
	Inotify   InotifyReport   `json:"inotify"`
	Visible   int             `json:"processes_visible"`
	Shared    bool            `json:"process_namespace_shared"`
	Processes []ProcessReport `json:"processes"` // that match; parents before children
	Near      []NearReport    `json:"near,omitempty"`

	rejected []string // what the podsignal that runs here says of it
}

// A Finding is a line of the report.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"` // file, watch, inotify, namespace, process, permission, handler, volume, url, config, state or validate
	PID   int    `json:"pid,omitempty"`
	File  string `json:"file,omitempty"`
	Text  string `json:"text"` // what was found, and the fix

	common bool // it is not about one of several rules
}

// FileReport is a path of FILE.
type FileReport struct {
	Path     string          `json:"path"`
	Kind     string          `json:"kind"`  // watcher.Kind
	Files    int             `json:"files"` // that it shows
	SubPaths []SubPathReport `json:"subpath_mounts,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// SubPathReport is a mount that does not show what replaces its file or folder.
type SubPathReport struct {
	Mount string `json:"mount"`
	Kind  string `json:"kind"`  // signal.MountKind
	Stale bool   `json:"stale"` // an update has passed it by already
}

// InotifyReport counts what this uid uses, as far as visible. A limit
// of 0 is unknown.
type InotifyReport struct {
	Instances    int    `json:"instances"`
	MaxInstances int    `json:"max_instances"`
	Watches      int    `json:"watches"`
	MaxWatches   int    `json:"max_watches"`
	Error        string `json:"error,omitempty"` // why it is unavailable
}

// ProcessReport is a process that matches.
type ProcessReport struct {
	PID    int           `json:"pid"`
	Parent int           `json:"parent"`
	UID    int           `json:"uid"`
	Name   string        `json:"name"`
	Role   string        `json:"role"`             // signal.Role
	Orphan bool          `json:"orphan,omitempty"` // signal.Process
	Target *TargetReport `json:"target,omitempty"`
}

// TargetReport is what is known of a target alone.
type TargetReport struct {
	Permitted bool          `json:"permitted"`
	Handling  string        `json:"handling,omitempty"` // signal.Handling
	Runtime   string        `json:"runtime,omitempty"`  // Go, Java or Node
	Mounts    []MountReport `json:"mounts"`
}

// MountReport is how a target mounts what one or more paths of FILE lie on.
type MountReport struct {
	Own      string          `json:"own"`               // where podsignal mounts it
	Folders  []string        `json:"folders,omitempty"` // where the target does, and sees updates
	SubPaths []SubPathReport `json:"subpath_mounts,omitempty"`
}

// NearReport is a process that may be meant instead.
type NearReport struct {
	PID     int    `json:"pid"`
	Name    string `json:"name"`              // what PROCESS would have to be
	Cmdline string `json:"cmdline,omitempty"` // and CMDLINE, where the name alone does not tell
	Why     string `json:"why"`
}

// reports are those of several rules.
type reports struct {
	Verdict Level     `json:"verdict"`
	Rules   []*Report `json:"rules"`
}
