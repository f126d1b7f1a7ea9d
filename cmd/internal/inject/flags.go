package inject

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/signal"
)

// A UsageError is an error of the command line or of an annotation, not of a manifest.
type UsageError struct{ error }

const usage = `podsignal inject adds podsignal to the pods of the manifests on standard input, or
updates the one that is there, and prints them. Everything else stays as it was:

  kubectl get deploy web -o yaml | podsignal inject --process nginx | kubectl apply -f -
  helm template web ./chart | podsignal inject | kubectl apply -f -

It reads YAML or JSON, several documents and lists, and changes Pod, Deployment,
StatefulSet, DaemonSet, ReplicaSet, Job and CronJob. Any other kind that has a pod template
at spec.template, such as Rollout, is changed if an annotation asks for it.

FLAG         ANNOTATION           MEANING
--process    podsignal/process    name of the process to signal
--signal     podsignal/signal     signal to send; unset: the one that a known program
                                  reloads on, else HUP
--listen     podsignal/listen     port of podsignal's pages, with a livenessProbe
--hold       podsignal/hold       true: hold each change until it is approved, by the pod's
                                  annotation podsignal/approved
--validate   podsignal/validate   command that must succeed before a change is sent, such
                                  as "nginx -t -q": podsignal then runs in the program's
                                  image, with all that the program's container has
--volume     podsignal/volume     volumes to watch, comma-separated; unset: all ConfigMap,
                                  Secret and projected volumes that the program mounts
--container  podsignal/container  the program's container, where several mount the volumes
--uid        podsignal/uid        podsignal's uid: a number, or keep: set none; unset: the
                                  program's
--image      podsignal/image      podsignal's image; unset: that of a podsignal that is
                                  there, else podsignal:%s
--env NAME=VALUE                  a variable of podsignal, repeated; without a value: unset
--remove                          remove podsignal instead, from all that have it

More annotations set the variable of the same name: podsignal/cmdline, podsignal/file,
podsignal/exclude, podsignal/min-interval, podsignal/splay, podsignal/expect and
podsignal/reload-url, a URL of the pod to call instead of sending a signal.

A flag is for all workloads in the input, and wins over an annotation of the workload,
which wins over one of its pod template. A workload gets podsignal if it has a process or
a reload-url, of a flag or an annotation. Without any, the input is printed as it is.

podsignal gets the uid of the program's container. Where the manifest names none, it runs as
root with the capability KILL and no other, and a note on standard error says so.
Exit codes: 1 for a manifest that cannot be used, 2 for a wrong flag or annotation;
nothing is printed then.
`

// options are the flags.
type options struct {
	flags   map[string]string // those that an annotation has the name of
	env     []variable        // --env
	remove  bool
	version string
}

// parseFlags reads the command line. help says that nothing but --help is asked for.
func parseFlags(args []string, version string) (opts options, help bool, err error) {
	opts = options{flags: make(map[string]string), version: version}
	flags := flag.NewFlagSet("inject", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	for _, name := range []string{"process", "signal", "listen", "validate", "container", "uid", "image"} {
		flags.Func(name, "", func(value string) error {
			opts.flags[name] = value
			return nil
		})
	}
	flags.BoolFunc("hold", "", func(value string) error {
		opts.flags["hold"] = value
		return nil
	})
	flags.Func("volume", "", func(value string) error {
		opts.flags["volume"] = strings.Trim(opts.flags["volume"]+","+value, ", ")
		return nil
	})
	flags.Func("env", "", func(pair string) error {
		name, value, found := strings.Cut(pair, "=")
		if name = strings.TrimSpace(name); !found || name == "" {
			return errors.New("use NAME=VALUE")
		}
		opts.env = append(opts.env, variable{name, strings.TrimSpace(value), "--env " + name})
		return nil
	})
	flags.BoolVar(&opts.remove, "remove", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return opts, true, nil
	case err != nil:
		return opts, false, UsageError{fmt.Errorf("%w: see podsignal inject --help", err)}
	case flags.NArg() > 0:
		return opts, false, UsageError{fmt.Errorf("unknown arguments %q: podsignal inject reads manifests from its standard input, see podsignal inject --help", strings.Join(flags.Args(), " "))}
	case opts.remove && flags.NFlag() > 1:
		return opts, false, UsageError{errors.New("--remove takes podsignal out of all that have it: use it without other flags")}
	}
	return opts, false, opts.check()
}

// check looks for names of --env that are no variables of podsignal, or given twice.
func (o options) check() error {
	var rules []string
	if i := slices.IndexFunc(o.env, func(v variable) bool { return v.name == "RULES" }); i >= 0 {
		for rule := range strings.SplitSeq(o.env[i].value, ",") {
			rules = append(rules, strings.TrimSpace(rule))
		}
	}
	known := config.Variables(rules)
	var errs []error
	for i, v := range o.env {
		flag := ""
		for _, a := range annotation.All {
			if a.Variable == v.name {
				flag = a.Name
			}
		}
		switch {
		case slices.ContainsFunc(o.env[:i], func(other variable) bool { return other.name == v.name }):
			errs = append(errs, fmt.Errorf("%s is given twice: give it once", v.by))
		case o.flags[flag] != "":
			errs = append(errs, fmt.Errorf("%s and --%s set the same: use one of them", v.by, flag))
		case !slices.Contains(known, v.name):
			errs = append(errs, fmt.Errorf("%s is not a variable of podsignal%s", v.by, meant(v.name, known, "see podsignal --help")))
		}
	}
	if len(errs) > 0 {
		return UsageError{errors.Join(errs...)}
	}
	return nil
}

// asks tells whether the flags ask for podsignal in every workload.
func (o options) asks() bool {
	return strings.TrimSpace(o.flags["process"]) != "" || slices.ContainsFunc(o.env, variable.asks)
}

// isPartial tells whether there are flags that are of no use unless something asks for
// podsignal. An image may be given for whatever comes through a pipe.
func (o options) isPartial() bool {
	for name := range o.flags {
		if name != "image" {
			return true
		}
	}
	return len(o.env) > 0
}

// meant asks whether another name was meant, and says what else is known. It follows a name.
func meant(name string, known []string, all string) string {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "-") }
	near := func(other string) bool {
		return plain(name) == plain(other) || signal.OneEdit(plain(name), plain(other))
	}
	if i := slices.IndexFunc(known, near); i >= 0 {
		return fmt.Sprintf(": did you mean %s? (%s)", known[i], all)
	}
	return ": " + all
}
