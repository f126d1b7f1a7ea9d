package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/podsignal/podsignal/cmd/internal/reload"
	"github.com/podsignal/podsignal/cmd/internal/validate"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// ruleEnvironment is every variable that each rule may have for itself.
type ruleEnvironment struct {
	File          string `envconfig:"FILE" desc:"paths to watch, comma-separated: files or folders; unset: the ConfigMaps, Secrets and projected volumes mounted here"`
	Exclude       string `envconfig:"EXCLUDE" desc:"patterns of paths below FILE to ignore, comma-separated, such as **/*.md"`
	Process       string `envconfig:"PROCESS" desc:"command name of the process to signal, in full, also beyond the 15 bytes that ps shows (required, except with RELOAD_URL)"`
	Cmdline       string `envconfig:"CMDLINE" desc:"regular expression (RE2) that the command line must match too"`
	Signal        string `envconfig:"SIGNAL" default:"HUP" desc:"signal to send: a name, with or without SIG, or a number"`
	ReloadURL     string `envconfig:"RELOAD_URL" desc:"URL to call instead of sending a signal, such as http://127.0.0.1:9090/-/reload"`
	ReloadMethod  string `envconfig:"RELOAD_METHOD" default:"POST" desc:"POST, PUT, PATCH or GET"`
	ReloadTimeout string `envconfig:"RELOAD_TIMEOUT" default:"10s" desc:"how long the answer may take"`
	ReloadCAFile  string `envconfig:"RELOAD_CA_FILE" desc:"PEM file of the authorities to trust; unset: the system's"`
	ReloadToken   string `envconfig:"RELOAD_BEARER_TOKEN_FILE" desc:"file with a bearer token for it"`
	ReloadAuth    string `envconfig:"RELOAD_BASIC_AUTH_FILE" desc:"file with user:password for it"`
	Debounce      string `envconfig:"DEBOUNCE" default:"100ms" desc:"quiet time that ends a burst of events; a burst lasts at most 20 times as long"`
	MinInterval   string `envconfig:"MIN_INTERVAL" default:"1s" desc:"minimum time between two signals to one process, or two calls"`
	Resync        string `envconfig:"RESYNC" default:"1m" desc:"interval of a full rescan; 0 disables it"`
	StartGrace    string `envconfig:"START_GRACE" default:"1s" desc:"minimum age of a process before it is signalled"`
	Splay         string `envconfig:"SPLAY" default:"0" desc:"period over which replicas spread their signals, each after its own fixed share; 0: at once"`
	Verify        string `envconfig:"VERIFY" default:"5s" desc:"how long the effect of a signal is watched; 0 disables it"`
	Expect        string `envconfig:"EXPECT" desc:"effect that a signal must have: replaced (child processes), read (of FILE) or none; unset: what is known of the program"`
	Validate      string `envconfig:"VALIDATE" desc:"command that must succeed before a change is delivered, such as nginx -t -q"`
	Hold          string `envconfig:"HOLD" desc:"file with approved digests, one a line: a change is held until those of all paths of FILE are in it; unset: none is held"`
	DryRun        string `envconfig:"DRY_RUN" default:"false" desc:"true: log what would be sent, and send nothing"`
}

// A Rule is what to watch, and whom to notify of it.
type Rule struct {
	Name        string // empty: RULES is not set
	Files       Files
	Process     string         // empty: any, of a rule with a URL
	Cmdline     *regexp.Regexp // nil: any
	Signal      syscall.Signal
	Reload      *reload.Settings // nil: the signal is sent
	MinInterval time.Duration
	StartGrace  time.Duration
	Splay       Splay
	Verify      time.Duration
	Expect      verify.Expect
	Validate    []string // the command, split into words; nil: none
	Hold        string   // the file with approved digests, absolute; empty: none
	DryRun      bool
}

// Files are what to watch, and how.
type Files struct {
	Paths    []string // absolute and clean, at least one
	Found    bool     // FILE was not set
	Exclude  []string
	Debounce time.Duration
	Resync   time.Duration
}

// ruleNames are those of RULES, or one that is empty.
func ruleNames(list string, wrong *mistakes) (names []string) {
	owner := make(map[string]string) // of each variable
	for _, field := range variables() {
		owner[field.Tag.Get("envconfig")] = "podsignal"
	}
	const letters, more = "abcdefghijklmnopqrstuvwxyz", "0123456789_-"
	for _, name := range split(list) {
		if strings.Trim(name, letters+more) != "" || !strings.Contains(letters, name[:1]) {
			wrong.add("RULES", name, "is not a valid rule name: use lowercase letters, digits and -, such as web")
			continue
		}
		if slices.Contains(names, name) {
			wrong.add("RULES", list, fmt.Sprintf("names %s twice: give each rule a name of its own", name))
			continue
		}
		names = append(names, name)
		for field := range reflect.TypeFor[ruleEnvironment]().Fields() {
			variable := prefix(name) + field.Tag.Get("envconfig")
			if other, taken := owner[variable]; taken {
				wrong.add("RULES", name, fmt.Sprintf("cannot be a rule name: %s would be a variable of %s too; choose another name", variable, other))
			}
			owner[variable] = name
		}
	}
	if names == nil {
		return []string{""}
	}
	return names
}

// prefix is that of a rule's variables.
func prefix(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_"
}

// loadRule reads a rule's variables: those with its prefix, else those without. Others
// that are set may be misspelled ones.
func loadRule(name, hostname string, others, holds []string, wrong *mistakes) Rule {
	var env ruleEnvironment
	if err := envconfig.Process(strings.TrimSuffix(prefix(name), "_"), &env); err != nil {
		*wrong = append(*wrong, err)
	}
	common := func(variable string) string { return strings.TrimSpace(os.Getenv(variable)) }
	own := func(variable string) bool { return common(prefix(name)+variable) != "" }
	// By itself envconfig does so only for what is not set, not for what is empty.
	applyDefaults(&env, common)
	// A variable is called as it was set, or else as it would have to be.
	invalid := func(variable, value, fix string) {
		if value == "" {
			fix += meant(others, prefix(name)+variable, variable)
		}
		if !own(variable) && common(variable) != "" {
			wrong.add(variable, value, fix)
		} else {
			wrong.add(prefix(name)+variable, value, fix)
		}
	}
	bySignal, byURL := own("SIGNAL"), own("RELOAD_URL")
	switch {
	case env.ReloadURL == "" || !bySignal && common("SIGNAL") == "":
	case bySignal == byURL:
		invalid("RELOAD_URL", reload.ShownURL(env.ReloadURL), "is set, and SIGNAL as well: unset one of them")
	case bySignal: // its own way counts more than the one without its name
		env.ReloadURL = ""
	}
	return env.validate(name, hostname, holds, invalid)
}

func (env *ruleEnvironment) validate(name, hostname string, holds []string, invalid func(variable, value, fix string)) Rule {
	duration := func(name, value string) time.Duration {
		d, err := parseDuration(value)
		if err != nil {
			invalid(name, value, err.Error())
		}
		return d
	}
	r := Rule{
		Name:    name,
		Process: env.Process,
		Files:   Files{Exclude: splitPatterns(env.Exclude)},
		Splay:   Splay{Hostname: hostname},
	}
	// In the order of --help, which is that of the errors.
	r.Files.Debounce = duration("DEBOUNCE", env.Debounce)
	r.MinInterval = duration("MIN_INTERVAL", env.MinInterval)
	r.Files.Resync = duration("RESYNC", env.Resync)
	r.StartGrace = duration("START_GRACE", env.StartGrace)
	r.Splay.Within = duration("SPLAY", env.Splay)
	r.Verify = duration("VERIFY", env.Verify)
	r.Files.Paths, r.Files.Found = env.files(holds, invalid)
	for _, pattern := range r.Files.Exclude {
		if err := watcher.ValidatePattern(pattern); err != nil {
			invalid("EXCLUDE", pattern, err.Error())
		}
	}
	r.Hold = env.hold(r.Files.Paths, invalid)
	err := CheckProcess(env.Process)
	switch {
	case env.Process == "" && env.ReloadURL == "":
		invalid("PROCESS", "", "is required: the command name, in full, also beyond the 15 bytes that ps shows, such as nginx")
	case err != nil:
		invalid("PROCESS", env.Process, err.Error())
	}
	if r.Signal, err = signal.Parse(env.Signal); err != nil {
		invalid("SIGNAL", env.Signal, err.Error())
	}
	if r.Expect, err = verify.ParseExpect(env.Expect); err != nil {
		invalid("EXPECT", env.Expect, err.Error())
	}
	r.expect()
	if env.Validate != "" {
		if r.Validate, err = validate.Parse(env.Validate); err == nil {
			err = validate.Find(r.Validate[0])
		}
		if err != nil {
			invalid("VALIDATE", env.Validate, err.Error())
		}
	}
	if env.ReloadURL != "" {
		r.Reload = env.reload(duration("RELOAD_TIMEOUT", env.ReloadTimeout), invalid)
	}
	if env.Cmdline != "" {
		if r.Cmdline, err = ParseCmdline(env.Cmdline); err != nil {
			invalid("CMDLINE", env.Cmdline, err.Error())
		}
	}
	if r.Splay.Hostname == "" {
		if r.Splay.Hostname, err = os.Hostname(); err != nil {
			invalid("HOSTNAME", "", fmt.Sprintf("is unavailable from the host (%v): set it to this replica's name", err))
		}
	}
	r.Splay.Share = shareOf(r.Splay.Hostname, r.Splay.Within)
	if r.DryRun, err = strconv.ParseBool(env.DryRun); err != nil {
		invalid("DRY_RUN", env.DryRun, "is not valid: use true or false")
	}
	return r
}

// reload is RELOAD_URL and what goes with it.
func (env *ruleEnvironment) reload(timeout time.Duration, invalid func(variable, value, fix string)) *reload.Settings {
	r := &reload.Settings{
		URL: env.ReloadURL, Timeout: timeout,
		CAFile: env.ReloadCAFile, TokenFile: env.ReloadToken, BasicAuthFile: env.ReloadAuth,
	}
	if err := reload.CheckURL(r.URL); err != nil {
		invalid("RELOAD_URL", reload.ShownURL(r.URL), err.Error())
	}
	var err error
	if r.Method, err = reload.ParseMethod(env.ReloadMethod); err != nil {
		invalid("RELOAD_METHOD", env.ReloadMethod, err.Error())
	}
	if err := reload.CheckTimeout(timeout); err != nil {
		invalid("RELOAD_TIMEOUT", env.ReloadTimeout, err.Error())
	}
	if err := reload.CheckCAFile(r.URL); r.CAFile != "" && err != nil {
		invalid("RELOAD_CA_FILE", r.CAFile, err.Error())
	}
	if err := reload.CheckBasicAuthFile(r.TokenFile); r.BasicAuthFile != "" && err != nil {
		invalid("RELOAD_BASIC_AUTH_FILE", r.BasicAuthFile, err.Error())
	}
	return r
}

// Action is what a change leads to, for the log.
func (r *Rule) Action() slog.Attr {
	if r.Reload != nil {
		return slog.String("url", r.Reload.Shown())
	}
	return slog.String("signal", signal.Name(r.Signal))
}

// LogAttrs say what the rule is about, for the log.
func (r *Rule) LogAttrs() []any {
	about := []any{"file", strings.Join(r.Files.Paths, ",")}
	if r.Files.Found {
		about = append(about, "found", len(r.Files.Paths))
	}
	if len(r.Files.Exclude) > 0 {
		about = append(about, "exclude", strings.Join(r.Files.Exclude, ","))
	}
	if r.Process != "" {
		about = append(about, "process", r.Process)
	}
	return append(about, r.Action())
}

// WatcherOptions say what to watch. Rules share an instance of inotify; nil: there is one.
func (r *Rule) WatcherOptions(shared *watcher.Inotify, log *slog.Logger) watcher.Options {
	return watcher.Options{
		Paths:    r.Files.Paths,
		Exclude:  r.Files.Exclude,
		Debounce: r.Files.Debounce,
		Resync:   r.Files.Resync,
		Inotify:  shared,
		Log:      log,
	}
}

// FinderOptions say which processes are meant.
func (r *Rule) FinderOptions(log *slog.Logger) signal.Options {
	options := signal.Options{
		Name:    r.Process,
		Cmdline: r.Cmdline,
		Files:   r.Files.Paths,
		Grace:   r.StartGrace,
		Log:     log,
	}
	if r.Reload == nil {
		options.Signal = r.Signal
	}
	return options
}

// InRule says of which rule an error is, where they have names.
func InRule(name string, err error) error {
	if name == "" || err == nil {
		return err
	}
	return fmt.Errorf("rule %s: %w", name, err)
}
