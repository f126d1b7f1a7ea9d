package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/podsignal/podsignal/signal"
	"github.com/podsignal/podsignal/watcher"
)

// ruleEnvironment is every variable that each rule may have for itself.
type ruleEnvironment struct {
	File          string `envconfig:"FILE" desc:"paths to watch, comma-separated; files or folders; unset: the ConfigMaps, Secrets and projected volumes that are mounted here"`
	Exclude       string `envconfig:"EXCLUDE" desc:"patterns of paths below FILE that do not count, comma-separated, such as **/*.md"`
	Process       string `envconfig:"PROCESS" desc:"name of the process to signal, in full, also beyond the 15 bytes that ps shows (required, but with RELOAD_URL)"`
	Cmdline       string `envconfig:"CMDLINE" desc:"regular expression (RE2) that the command line must match too"`
	Signal        string `envconfig:"SIGNAL" default:"HUP" desc:"signal to send: a name, with or without SIG, or a number"`
	ReloadURL     string `envconfig:"RELOAD_URL" desc:"URL to call instead of sending a signal, such as http://127.0.0.1:9090/-/reload"`
	ReloadMethod  string `envconfig:"RELOAD_METHOD" default:"POST" desc:"POST, PUT, PATCH or GET"`
	ReloadTimeout string `envconfig:"RELOAD_TIMEOUT" default:"10s" desc:"how long the answer may take"`
	ReloadCAFile  string `envconfig:"RELOAD_CA_FILE" desc:"PEM file of the authorities to trust; unset: the system's"`
	ReloadToken   string `envconfig:"RELOAD_BEARER_TOKEN_FILE" desc:"file with a bearer token for it"`
	ReloadAuth    string `envconfig:"RELOAD_BASIC_AUTH_FILE" desc:"file with user:password for it"`
	Debounce      string `envconfig:"DEBOUNCE" default:"100ms" desc:"quiet time that ends a burst of events; a burst lasts at most 20 of them"`
	MinInterval   string `envconfig:"MIN_INTERVAL" default:"1s" desc:"least time between two signals to one process, or two calls"`
	Resync        string `envconfig:"RESYNC" default:"1m" desc:"how often everything is looked at anyway; 0: never"`
	StartGrace    string `envconfig:"START_GRACE" default:"1s" desc:"least age of a process before it is signalled"`
	Splay         string `envconfig:"SPLAY" default:"0" desc:"time within which replicas signal, each after a steady share of it; 0: at once"`
	Verify        string `envconfig:"VERIFY" default:"5s" desc:"how long the effect of a signal is watched; 0: not at all"`
	DryRun        string `envconfig:"DRY_RUN" default:"false" desc:"true: say what would be done, and do nothing"`
}

// A rule is what to watch, and whom to tell of it.
type rule struct {
	name        string   // empty: RULES is not set
	files       []string // absolute and clean, at least one
	found       bool     // the files were not set
	exclude     []string
	process     string         // empty: any, of a rule with a URL
	cmdline     *regexp.Regexp // nil: any
	signal      syscall.Signal
	reload      *reloadSettings // nil: the signal is sent
	debounce    time.Duration
	minInterval time.Duration
	resync      time.Duration
	startGrace  time.Duration
	splay       time.Duration
	hostname    string
	share       time.Duration // of splay, for hostname
	verify      time.Duration
	dryRun      bool
}

// ruleNames are those of RULES, or one that is empty.
func ruleNames(list string, wrong *faults) (names []string) {
	owner := make(map[string]string) // of each variable
	for _, field := range variables() {
		owner[field.Tag.Get("envconfig")] = "podsignal"
	}
	const letters, more = "abcdefghijklmnopqrstuvwxyz", "0123456789_-"
	for _, name := range split(list) {
		if strings.Trim(name, letters+more) != "" || !strings.Contains(letters, name[:1]) {
			wrong.add("RULES", name, "is no name of a rule: use small letters, digits and -, such as web")
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
				wrong.add("RULES", name, fmt.Sprintf("cannot be the name of a rule: %s would be a variable of %s too; choose another name", variable, other))
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

// split splits a list at commas, without spaces and empty items.
func split(list string) (items []string) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// loadRule reads a rule's variables: those with its prefix, else those without. Others
// that are set may be misspelt ones.
func loadRule(name, hostname string, others []string, wrong *faults) rule {
	var env ruleEnvironment
	if err := envconfig.Process(strings.TrimSuffix(prefix(name), "_"), &env); err != nil {
		*wrong = append(*wrong, err)
	}
	common := func(variable string) string { return strings.TrimSpace(os.Getenv(variable)) }
	own := func(variable string) bool { return common(prefix(name)+variable) != "" }
	// By itself envconfig does so only for what is not set, not for what is empty.
	fill(&env, common)
	// A variable is called as it was set, or else as it would have to be.
	fault := func(variable, value, mend string) {
		if value == "" {
			mend += meant(others, prefix(name)+variable, variable)
		}
		if !own(variable) && common(variable) != "" {
			wrong.add(variable, value, mend)
		} else {
			wrong.add(prefix(name)+variable, value, mend)
		}
	}
	bySignal, byURL := own("SIGNAL"), own("RELOAD_URL")
	switch {
	case env.ReloadURL == "" || !bySignal && common("SIGNAL") == "":
	case bySignal == byURL:
		fault("RELOAD_URL", shownURL(env.ReloadURL), "is set, and SIGNAL as well: unset one of them")
	case bySignal: // its own way counts more than the one without its name
		env.ReloadURL = ""
	}
	return env.validate(name, hostname, fault)
}

func (env *ruleEnvironment) validate(name, hostname string, fault func(variable, value, mend string)) rule {
	duration := func(name, value string) time.Duration {
		d, err := parseDuration(value)
		if err != nil {
			fault(name, value, err.Error())
		}
		return d
	}
	r := rule{
		name:        name,
		exclude:     splitPatterns(env.Exclude),
		process:     env.Process,
		debounce:    duration("DEBOUNCE", env.Debounce),
		minInterval: duration("MIN_INTERVAL", env.MinInterval),
		resync:      duration("RESYNC", env.Resync),
		startGrace:  duration("START_GRACE", env.StartGrace),
		splay:       duration("SPLAY", env.Splay),
		hostname:    hostname,
		verify:      duration("VERIFY", env.Verify),
	}
	r.files, r.found = env.files(fault)
	for _, pattern := range r.exclude {
		if err := watcher.ValidatePattern(pattern); err != nil {
			fault("EXCLUDE", pattern, err.Error())
		}
	}
	switch {
	case env.Process == "" && env.ReloadURL == "":
		fault("PROCESS", "", "names no process: set it to the name of the program, in full, also beyond the 15 bytes that ps shows, such as nginx")
	case strings.Contains(env.Process, "/"):
		fault("PROCESS", env.Process, fmt.Sprintf("is a path: use the name alone, %s", filepath.Base(env.Process)))
	}
	var err error
	if r.signal, err = signal.Parse(env.Signal); err != nil {
		fault("SIGNAL", env.Signal, err.Error())
	}
	if env.ReloadURL != "" {
		r.reload = env.reload(duration("RELOAD_TIMEOUT", env.ReloadTimeout), fault)
	}
	if env.Cmdline != "" {
		if r.cmdline, err = regexp.Compile(env.Cmdline); err != nil {
			fault("CMDLINE", env.Cmdline, fmt.Sprintf("is no regular expression (%v): use RE2's syntax, such as -jar .*app\\.jar", err))
		}
	}
	if r.hostname == "" {
		if r.hostname, err = os.Hostname(); err != nil {
			fault("HOSTNAME", "", fmt.Sprintf("cannot be had from the host (%v): set it to this replica's name", err))
		}
	}
	r.share = shareOf(r.hostname, r.splay)
	if r.dryRun, err = strconv.ParseBool(env.DryRun); err != nil {
		fault("DRY_RUN", env.DryRun, "is neither: use true or false")
	}
	return r
}

// aYear bounds all durations, so that none overflows when it is multiplied, or added to a
// time. No pod lives that long.
const aYear = 365 * 24 * time.Hour

// parseDuration reads a duration; the error goes on after the value.
func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		zeros := strings.Map(func(c rune) rune {
			if '0' <= c && c <= '9' {
				return '0'
			}
			return c
		}, value)
		if _, malformed := time.ParseDuration(zeros); malformed != nil {
			return 0, errors.New("is no duration: use a number with a unit, such as 100ms, 1s or 5m")
		}
		d = aYear + 1 // the number alone is too great
	}
	switch {
	case d < 0 || strings.HasPrefix(value, "-") && d != 0:
		return 0, errors.New("is negative: use 0 or more, such as 100ms, 1s or 5m")
	case d > aYear:
		return 0, fmt.Errorf("is longer than a year: use %.0fh or less", aYear.Hours())
	}
	return d, nil
}

// splitPatterns is split for patterns, which may have commas in braces and brackets, or
// behind a \.
func splitPatterns(list string) (patterns []string) {
	depth, class, escaped, begin := 0, false, false, 0
	for i, c := range list {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case class:
			class = c != ']'
		case c == '[':
			class = strings.Contains(list[i:], "]") // else it is a fault, of this pattern alone
		case c == '{':
			depth++
		case c == '}':
			depth = max(0, depth-1)
		case c == ',' && depth == 0:
			patterns, begin = append(patterns, strings.TrimSpace(list[begin:i])), i+1
		}
	}
	patterns = append(patterns, strings.TrimSpace(list[begin:]))
	return slices.DeleteFunc(patterns, func(pattern string) bool { return pattern == "" })
}

// reload is RELOAD_URL and what goes with it.
func (env *ruleEnvironment) reload(timeout time.Duration, fault func(variable, value, mend string)) *reloadSettings {
	r := &reloadSettings{
		url: env.ReloadURL, timeout: timeout,
		caFile: env.ReloadCAFile, tokenFile: env.ReloadToken, basicAuthFile: env.ReloadAuth,
	}
	if err := checkReloadURL(r.url); err != nil {
		fault("RELOAD_URL", shownURL(r.url), err.Error())
	}
	var err error
	if r.method, err = parseReloadMethod(env.ReloadMethod); err != nil {
		fault("RELOAD_METHOD", env.ReloadMethod, err.Error())
	}
	if err := checkReloadTimeout(timeout); err != nil {
		fault("RELOAD_TIMEOUT", env.ReloadTimeout, err.Error())
	}
	if err := checkCAFile("RELOAD", r.url); r.caFile != "" && err != nil {
		fault("RELOAD_CA_FILE", r.caFile, err.Error())
	}
	if err := checkReloadBasicAuthFile(r.tokenFile); r.basicAuthFile != "" && err != nil {
		fault("RELOAD_BASIC_AUTH_FILE", r.basicAuthFile, err.Error())
	}
	return r
}

// files are those of FILE, or the volumes that are mounted here.
func (env *ruleEnvironment) files(fault func(variable, value, mend string)) (files []string, found bool) {
	if env.File == "" {
		files, err := watcher.MountedVolumes()
		switch {
		case err != nil:
			fault("FILE", "", fmt.Sprintf("is not set, and what is mounted here cannot be read (%v): set it", err))
		case len(files) == 0:
			fault("FILE", "", "is not set, and no ConfigMap, Secret or projected volume is mounted here: mount what the program reads into this container too, as a folder, or set FILE to files or folders, comma-separated")
		}
		return files, true
	}
	for _, path := range split(env.File) {
		absolute, err := filepath.Abs(path)
		if err != nil {
			fault("FILE", path, "is relative to a folder that is gone: use a path that begins with /")
		}
		if folder, is := globbed(absolute); is {
			fault("FILE", path, fmt.Sprintf("is a pattern, and nothing has that name: set FILE to the folder, %s, and EXCLUDE to patterns of what does not count in it", folder))
		}
		if !slices.Contains(files, absolute) {
			files = append(files, absolute)
		}
	}
	if len(files) == 0 {
		fault("FILE", env.File, "names nothing to watch: set it to files or folders, comma-separated, such as /etc/nginx/conf.d")
	}
	return files, false
}

// globbed tells whether a path is a pattern of a shell, and no name of anything: FILE
// takes names alone. It returns the folder that the pattern searches.
func globbed(path string) (folder string, is bool) {
	i := strings.IndexAny(path, "*?[{")
	if i < 0 {
		return "", false
	}
	_, err := os.Lstat(path)
	return filepath.Dir(path[:i] + "x"), errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// action is what a change leads to.
func (r *rule) action() slog.Attr {
	if r.reload != nil {
		return slog.String("url", shownURL(r.reload.url))
	}
	return slog.String("signal", signal.Name(r.signal))
}

// ofService tells whether Kubernetes sets a variable for a Service in the namespace,
// such as WEB_PORT_80_TCP_ADDR
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
func ofService(variable string) bool {
	return strings.Contains(variable, "_PORT") || strings.HasSuffix(variable, "_SERVICE_HOST")
}

// A doubt is a variable that is none of podsignal's, but nearly.
type doubt struct{ name, likely string }

func (d doubt) Error() string {
	return fmt.Sprintf("%s is no variable of podsignal's: did you mean %s?", d.name, d.likely)
}

// knownVariables are those that these rules and podsignal have.
func knownVariables(rules []string) (known []string) {
	for _, field := range variables() {
		known = append(known, field.Tag.Get("envconfig"))
	}
	for _, name := range rules {
		for field := range reflect.TypeFor[ruleEnvironment]().Fields() {
			known = append(known, prefix(name)+field.Tag.Get("envconfig"))
		}
	}
	return known
}

// otherVariables are those that are set, and not known, sorted.
func otherVariables(environ, known []string) (others []string) {
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if strings.TrimSpace(value) != "" && !slices.Contains(known, name) && !ofService(name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return others
}

// doubts are those of the other variables that are one edit away from one that is known.
func doubts(others, known []string) (doubts []doubt) {
	for _, name := range others {
		near := func(other string) bool { return signal.OneEdit(name, other) }
		if i := slices.IndexFunc(known, near); i >= 0 {
			doubts = append(doubts, doubt{name, known[i]})
		}
	}
	return doubts
}

// meant asks, in the error about a variable that has to be set and is not, whether one
// that is set was meant for it, or for the other name that it may have. Only there: one
// word more, as in FILE_SERVER and PROCESS_TYPE, is no reason to doubt what works.
func meant(others []string, variables ...string) string {
	for _, variable := range variables {
		if name := likely(others, variable); name != "" {
			return fmt.Sprintf("; %s is set: did you mean %s?", name, variable)
		}
	}
	return ""
}

// likely is what is nearest to a variable: one edit away from it or written in another
// case, else with one more word after it (PROCESS_NAME, FILES), else with one before it
// (TARGET_PROCESS). It is empty if there is none.
func likely(others []string, variable string) string {
	isWord := func(s string) bool { return s != "" && !strings.Contains(s, "_") }
	for _, near := range []func(name string) bool{
		func(name string) bool { return signal.OneEdit(name, variable) || strings.EqualFold(name, variable) },
		func(name string) bool {
			rest, ok := strings.CutPrefix(strings.ToUpper(name), variable)
			return ok && isWord(strings.TrimPrefix(rest, "_"))
		},
		func(name string) bool {
			rest, ok := strings.CutSuffix(strings.ToUpper(name), "_"+variable)
			return ok && isWord(rest)
		},
	} {
		if i := slices.IndexFunc(others, near); i >= 0 {
			return others[i]
		}
	}
	return ""
}
