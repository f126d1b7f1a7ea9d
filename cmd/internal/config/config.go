// Package config reads the environment, once, into typed settings: it names every mistake
// with its variable, its value and the fix, and the variables that look misspelled.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"

	"github.com/podsignal/podsignal/cmd/internal/notify"
)

// environment is every variable that podsignal reads once, as it was given; those of
// the rules are in ruleEnvironment. All are strings, so that every mistake is found here,
// and reported with all the others: envconfig stops at the first.
type environment struct {
	Rules        string `envconfig:"RULES" desc:"names of rules, comma-separated; each may set the variables above with its own prefix, such as WEB_FILE"`
	Hostname     string `envconfig:"HOSTNAME" desc:"name that determines this replica's share of SPLAY; unset: the host's"`
	Listen       string `envconfig:"LISTEN" desc:"address of /metrics, /healthz, /readyz and /status, such as :9533, or a port; unset: off"`
	NotifyURL    string `envconfig:"NOTIFY_URL" desc:"webhook that gets a JSON document when a reload has failed; unset: off"`
	NotifyCAFile string `envconfig:"NOTIFY_CA_FILE" desc:"PEM file of the authorities to trust for it; unset: the system's"`
	Notify       string `envconfig:"NOTIFY" default:"failures" desc:"failures, or all: every reload"`
	PodName      string `envconfig:"POD_NAME" desc:"this pod's name, for notifications, from the downward API"`
	PodNamespace string `envconfig:"POD_NAMESPACE" desc:"this pod's namespace, likewise"`
	LogLevel     string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat    string `envconfig:"LOG_FORMAT" default:"text" desc:"text or json"`
}

// Config is the environment, understood.
type Config struct {
	Rules    []Rule           // at least one
	Listen   string           // empty: off
	Notify   *notify.Settings // nil: off
	LogLevel slog.Level
	LogJSON  bool
	Typos    []Typo
}

// mistakes are all that is wrong with the environment.
type mistakes []error

// add adds what is wrong with a variable, and the fix, once: rules may share it. One that
// is not set has no value.
func (f *mistakes) add(name, value, text string) {
	err := fmt.Errorf("%s=%q %s", name, value, text)
	if value == "" {
		err = fmt.Errorf("%s %s", name, text)
	}
	if !slices.ContainsFunc(*f, func(other error) bool { return other.Error() == err.Error() }) {
		*f = append(*f, err)
	}
}

// Load reads the environment. The error has a line for each mistake.
func Load() (Config, error) {
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return Config{}, err
	}
	applyDefaults(&env, func(string) string { return "" })
	var wrong mistakes
	names := ruleNames(env.Rules, &wrong)
	known := Variables(names)
	others := otherVariables(os.Environ(), known)
	var rules []Rule
	holds := holdFiles(names)
	for _, name := range names {
		rules = append(rules, loadRule(name, env.Hostname, others, holds, &wrong))
	}
	cfg := env.validate(&wrong)
	cfg.Rules = rules
	cfg.Typos = findTypos(others, known)
	return cfg, wrong.join(cfg.Typos)
}

// join is an error with a line for each mistake, and then for each variable that may be the
// reason of one, unless that is in one of these lines already; nil without a mistake.
func (f mistakes) join(typos []Typo) error {
	all := errors.Join(f...)
	if all == nil {
		return nil
	}
	for _, t := range typos {
		if !strings.Contains(all.Error(), "; "+t.Name+" is set:") {
			f = append(f, t)
		}
	}
	return errors.Join(f...)
}

// applyDefaults trims all values of a struct of strings. One that is set but empty is taken
// for unset, which is how Compose and Helm pass on what nobody has set: it becomes
// what other says of its variable, else the default.
func applyDefaults(env any, other func(variable string) string) {
	fields := reflect.ValueOf(env).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		value := strings.TrimSpace(fields.Field(i).String())
		fields.Field(i).SetString(cmp.Or(value, other(tag.Get("envconfig")), tag.Get("default")))
	}
}

func (env *environment) validate(wrong *mistakes) Config {
	cfg := Config{Listen: env.Listen}
	if isAddress(":" + env.Listen) { // a port alone
		cfg.Listen = ":" + env.Listen
	} else if env.Listen != "" && !isAddress(env.Listen) {
		wrong.add("LISTEN", env.Listen, "is not a valid address: use a port such as :9533, or an address and a port such as 127.0.0.1:9533")
	}
	if env.NotifyURL != "" {
		if err := notify.CheckURL(env.NotifyURL); err != nil {
			wrong.add("NOTIFY_URL", notify.Host(env.NotifyURL), err.Error())
		} else if err := notify.CheckCAFile(env.NotifyURL); env.NotifyCAFile != "" && err != nil {
			wrong.add("NOTIFY_CA_FILE", env.NotifyCAFile, err.Error())
		}
		cfg.Notify = &notify.Settings{
			URL: env.NotifyURL, CAFile: env.NotifyCAFile,
			All: strings.EqualFold(env.Notify, "all"),
			Pod: env.PodName, Namespace: env.PodNamespace,
		}
	}
	if !strings.EqualFold(env.Notify, "failures") && !strings.EqualFold(env.Notify, "all") {
		wrong.add("NOTIFY", env.Notify, "is not valid: use failures or all")
	}
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(env.LogLevel)]
	if !ok {
		wrong.add("LOG_LEVEL", env.LogLevel, "is not a valid level: use debug, info, warn or error")
	}
	cfg.LogLevel = level
	switch strings.ToLower(env.LogFormat) {
	case "text":
	case "json":
		cfg.LogJSON = true
	default:
		wrong.add("LOG_FORMAT", env.LogFormat, "is not a valid format: use text or json")
	}
	return cfg
}
