package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

// environment is every variable that podsignal reads once, as it was given; those of
// the rules are in ruleEnvironment. All are strings, so that every fault is found here,
// and told with all the others: envconfig stops at the first.
type environment struct {
	Rules        string `envconfig:"RULES" desc:"names of rules, comma-separated; each has the variables above for itself by prefix, such as WEB_FILE, else those without"`
	Hostname     string `envconfig:"HOSTNAME" desc:"name that decides this replica's share of SPLAY; unset: the host's"`
	Listen       string `envconfig:"LISTEN" desc:"address of /metrics, /healthz, /readyz and /status, such as :9533, or a port; unset: off"`
	NotifyURL    string `envconfig:"NOTIFY_URL" desc:"where to POST a JSON document when a reload has failed; unset: nowhere"`
	NotifyCAFile string `envconfig:"NOTIFY_CA_FILE" desc:"PEM file of the authorities to trust there; unset: the system's"`
	Notify       string `envconfig:"NOTIFY" default:"failures" desc:"failures, or all: after each reload"`
	PodName      string `envconfig:"POD_NAME" desc:"this pod's name, for NOTIFY_URL, by the downward API"`
	PodNamespace string `envconfig:"POD_NAMESPACE" desc:"this pod's namespace, the same"`
	LogLevel     string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat    string `envconfig:"LOG_FORMAT" default:"text" desc:"text or json"`
}

// config is the environment, understood.
type config struct {
	rules     []rule // at least one
	listen    string // empty: off
	notifyURL string // empty: off
	notifyCA  string
	notifyAll bool
	pod       string // empty: unknown
	namespace string // the same
	logLevel  slog.Level
	logJSON   bool
	doubts    []doubt
}

// faults are all that is wrong with the environment.
type faults []error

// add adds one, once: rules may share a variable.
func (f *faults) add(name, value, mend string) {
	err := fmt.Errorf("%s=%q %s", name, value, mend)
	if !slices.ContainsFunc(*f, func(other error) bool { return other.Error() == err.Error() }) {
		*f = append(*f, err)
	}
}

// loadConfig reads the environment. The error holds a line for each fault.
func loadConfig() (config, error) {
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return config{}, err
	}
	fill(&env, func(string) string { return "" })
	var wrong faults
	names := ruleNames(env.Rules, &wrong)
	known := knownVariables(names)
	others := otherVariables(os.Environ(), known)
	var rules []rule
	for _, name := range names {
		rules = append(rules, loadRule(name, env.Hostname, others, &wrong))
	}
	cfg := env.validate(&wrong)
	cfg.rules = rules
	cfg.doubts = doubts(others, known)
	return cfg, wrong.join(cfg.doubts)
}

// join is an error with a line for each fault, and then for each variable that may be the
// reason of one, unless that is in one of these lines already; nil without a fault.
func (f faults) join(doubts []doubt) error {
	all := errors.Join(f...)
	if all == nil {
		return nil
	}
	for _, d := range doubts {
		if !strings.Contains(all.Error(), "; "+d.name+" is set:") {
			f = append(f, d)
		}
	}
	return errors.Join(f...)
}

// fill trims all values of a struct of strings. One that is set but empty is taken
// for unset, which is how Compose and Helm pass on what nobody has set: it becomes
// what other says of its variable, else the default.
func fill(env any, other func(variable string) string) {
	fields := reflect.ValueOf(env).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		value := strings.TrimSpace(fields.Field(i).String())
		fields.Field(i).SetString(cmp.Or(value, other(tag.Get("envconfig")), tag.Get("default")))
	}
}

func (env *environment) validate(wrong *faults) config {
	cfg := config{
		listen:    env.Listen,
		notifyURL: env.NotifyURL,
		notifyCA:  env.NotifyCAFile,
		pod:       env.PodName,
		namespace: env.PodNamespace,
	}
	if isAddress(":" + env.Listen) { // a port alone
		cfg.listen = ":" + env.Listen
	} else if env.Listen != "" && !isAddress(env.Listen) {
		wrong.add("LISTEN", env.Listen, "is no address: use a port such as :9533, or an address and a port such as 127.0.0.1:9533")
	}
	if env.NotifyURL != "" {
		if err := checkNotifyURL(env.NotifyURL); err != nil {
			wrong.add("NOTIFY_URL", hostOf(env.NotifyURL), err.Error())
		} else if err := checkCAFile("NOTIFY", env.NotifyURL); env.NotifyCAFile != "" && err != nil {
			wrong.add("NOTIFY_CA_FILE", env.NotifyCAFile, err.Error())
		}
	}
	switch strings.ToLower(env.Notify) {
	case "failures":
	case "all":
		cfg.notifyAll = true
	default:
		wrong.add("NOTIFY", env.Notify, "is neither: use failures or all")
	}
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(env.LogLevel)]
	if !ok {
		wrong.add("LOG_LEVEL", env.LogLevel, "is no level: use debug, info, warn or error")
	}
	cfg.logLevel = level
	switch strings.ToLower(env.LogFormat) {
	case "text":
	case "json":
		cfg.logJSON = true
	default:
		wrong.add("LOG_FORMAT", env.LogFormat, "is no format: use text or json")
	}
	return cfg
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

// variables are all that are read, in the order of --help: those of a rule, then those
// of podsignal.
func variables() (fields []reflect.StructField) {
	for _, env := range []reflect.Type{reflect.TypeFor[ruleEnvironment](), reflect.TypeFor[environment]()} {
		for field := range env.Fields() {
			fields = append(fields, field)
		}
	}
	return fields
}

// usage prints what --help does: the table of the variables.
func usage(out io.Writer) error {
	const head = `podsignal signals a program when its mounted ConfigMap or Secret changes.

podsignal check says whether it would work here, and what to mend if not; with
--json for programs. It sends nothing, and exits with 0, 1 if podsignal would not
work, or 2 for a configuration that cannot be used.

podsignal inject adds podsignal to Kubernetes manifests, from standard input to
standard output; podsignal inject --help says how.

podsignal help, --help or -h prints this, and podsignal version, --version or -v the
version. podsignal takes no other arguments, and is configured by these variables of the
environment:

`
	if _, err := io.WriteString(out, head); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	// Not envconfig.Usagef: text/template calls methods by name, so that the linker
	// has to keep all of them, 2 MB.
	fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	for _, field := range variables() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", field.Tag.Get("envconfig"), field.Tag.Get("default"), field.Tag.Get("desc"))
	}
	return table.Flush()
}
