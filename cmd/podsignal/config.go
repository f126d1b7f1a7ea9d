package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/podsignal/podsignal/signal"
)

// environment is every variable that podsignal reads, as it was given. All are
// strings, so that every fault is found here, and told with all the others:
// envconfig stops at the first.
type environment struct {
	File        string `envconfig:"FILE" desc:"paths to watch, comma-separated; files or folders (required)"`
	Process     string `envconfig:"PROCESS" desc:"name of the process to signal (required)"`
	Signal      string `envconfig:"SIGNAL" default:"HUP" desc:"signal to send: a name, with or without SIG, or a number"`
	Cmdline     string `envconfig:"CMDLINE" desc:"regular expression (RE2) that the command line must match too"`
	Debounce    string `envconfig:"DEBOUNCE" default:"100ms" desc:"quiet time that ends a burst of events; a burst lasts at most 20 of them"`
	MinInterval string `envconfig:"MIN_INTERVAL" default:"1s" desc:"least time between two signals to one process"`
	Resync      string `envconfig:"RESYNC" default:"1m" desc:"how often everything is looked at anyway; 0: never"`
	StartGrace  string `envconfig:"START_GRACE" default:"1s" desc:"least age of a process before it is signalled"`
	Splay       string `envconfig:"SPLAY" default:"0" desc:"time within which replicas signal, each after a steady share of it; 0: at once"`
	Hostname    string `envconfig:"HOSTNAME" desc:"name that decides this replica's share of SPLAY; unset: the host's"`
	Verify      string `envconfig:"VERIFY" default:"5s" desc:"how long the effect of a signal is watched; 0: not at all"`
	Listen      string `envconfig:"LISTEN" desc:"address of /metrics, /healthz, /readyz and /status, such as :9533; unset: off"`
	LogLevel    string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat   string `envconfig:"LOG_FORMAT" default:"text" desc:"text or json"`
	DryRun      string `envconfig:"DRY_RUN" default:"false" desc:"true: say what would be signalled, and send nothing"`
}

// config is the environment, understood.
type config struct {
	files       []string // absolute and clean, at least one
	process     string
	signal      syscall.Signal
	cmdline     *regexp.Regexp // nil: any
	debounce    time.Duration
	minInterval time.Duration
	resync      time.Duration
	startGrace  time.Duration
	splay       time.Duration
	hostname    string
	share       time.Duration // of splay, for hostname
	verify      time.Duration
	listen      string // empty: off
	logLevel    slog.Level
	logJSON     bool
	dryRun      bool
}

// loadConfig reads the environment. The error holds a line for each fault.
func loadConfig() (config, error) {
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return config{}, err
	}
	env.fillDefaults()
	return env.validate()
}

// fillDefaults trims all values, and takes one that is set but empty for unset:
// that is how Compose and Helm pass on what nobody has set.
func (env *environment) fillDefaults() {
	fields := reflect.ValueOf(env).Elem()
	for i := range fields.NumField() {
		value := strings.TrimSpace(fields.Field(i).String())
		if value == "" {
			value = fields.Type().Field(i).Tag.Get("default")
		}
		fields.Field(i).SetString(value)
	}
}

func (env *environment) validate() (config, error) {
	var faults []error
	fault := func(name, value, mend string) {
		faults = append(faults, fmt.Errorf("%s=%q %s", name, value, mend))
	}
	duration := func(name, value string) time.Duration {
		d, err := time.ParseDuration(value)
		if err != nil {
			fault(name, value, "is no duration: use a number with a unit, such as 100ms, 1s or 5m")
		} else if d < 0 {
			fault(name, value, "is negative: use 0 or more, such as 100ms, 1s or 5m")
		}
		return d
	}

	cfg := config{
		process:     env.Process,
		debounce:    duration("DEBOUNCE", env.Debounce),
		minInterval: duration("MIN_INTERVAL", env.MinInterval),
		resync:      duration("RESYNC", env.Resync),
		startGrace:  duration("START_GRACE", env.StartGrace),
		splay:       duration("SPLAY", env.Splay),
		hostname:    env.Hostname,
		verify:      duration("VERIFY", env.Verify),
		listen:      env.Listen,
	}
	for path := range strings.SplitSeq(env.File, ",") {
		path = strings.TrimSpace(path)
		if path == "" {
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			fault("FILE", path, "is relative to a folder that is gone: use a path that begins with /")
		}
		if !slices.Contains(cfg.files, absolute) {
			cfg.files = append(cfg.files, absolute)
		}
	}
	if len(cfg.files) == 0 {
		fault("FILE", env.File, "names nothing to watch: set it to files or folders, comma-separated, such as /etc/nginx/conf.d")
	}
	switch {
	case env.Process == "":
		fault("PROCESS", "", "names no process: set it to the name that ps -o comm shows, such as nginx")
	case strings.Contains(env.Process, "/"):
		fault("PROCESS", env.Process, fmt.Sprintf("is a path: use the name alone, %s", filepath.Base(env.Process)))
	}
	var err error
	if cfg.signal, err = signal.Parse(env.Signal); err != nil {
		fault("SIGNAL", env.Signal, err.Error())
	}
	if env.Cmdline != "" {
		if cfg.cmdline, err = regexp.Compile(env.Cmdline); err != nil {
			fault("CMDLINE", env.Cmdline, fmt.Sprintf("is no regular expression (%v): use RE2's syntax, such as -jar .*app\\.jar", err))
		}
	}
	if cfg.hostname == "" {
		if cfg.hostname, err = os.Hostname(); err != nil {
			fault("HOSTNAME", "", fmt.Sprintf("cannot be had from the host (%v): set it to this replica's name", err))
		}
	}
	cfg.share = shareOf(cfg.hostname, cfg.splay)
	if env.Listen != "" && !isAddress(env.Listen) {
		fault("LISTEN", env.Listen, "is no address: use a port such as :9533, or an address and a port such as 127.0.0.1:9533")
	}
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(env.LogLevel)]
	if !ok {
		fault("LOG_LEVEL", env.LogLevel, "is no level: use debug, info, warn or error")
	}
	cfg.logLevel = level
	switch strings.ToLower(env.LogFormat) {
	case "text":
	case "json":
		cfg.logJSON = true
	default:
		fault("LOG_FORMAT", env.LogFormat, "is no format: use text or json")
	}
	if cfg.dryRun, err = strconv.ParseBool(env.DryRun); err != nil {
		fault("DRY_RUN", env.DryRun, "is neither: use true or false")
	}
	return cfg, errors.Join(faults...)
}

// isAddress tells whether s is HOST:PORT, with a number for the port. The host may
// be empty; whether it is one of this machine's only listening tells.
func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /,") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// usage prints what --help does: the table of the variables.
func usage(out io.Writer) error {
	const head = `podsignal signals a program when its mounted ConfigMap or Secret changes.

podsignal check says whether it would work here, and what to mend if not; with
--json for programs. It sends nothing, and exits with 0, 1 if podsignal would not
work, or 2 for a configuration that cannot be used.

podsignal inject adds podsignal to Kubernetes manifests, from standard input to
standard output; podsignal inject --help says how.

podsignal takes no other arguments but --help and --version, and is configured by
these variables of the environment:

`
	if _, err := io.WriteString(out, head); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	// Not envconfig.Usagef: text/template calls methods by name, so that the linker
	// has to keep all of them, 2 MB.
	fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	for field := range reflect.TypeFor[environment]().Fields() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", field.Tag.Get("envconfig"), field.Tag.Get("default"), field.Tag.Get("desc"))
	}
	return table.Flush()
}
