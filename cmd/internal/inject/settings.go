package inject

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
	"github.com/podsignal/podsignal/cmd/programs"
	"github.com/podsignal/podsignal/signal"
)

// settings are what a workload is to get, and from where that came.
type settings struct {
	variables   []variable
	volumes     []string // none: all that the kubelet keeps up to date
	volumesBy   string   // --volume, or the annotation
	container   string
	containerBy string
	image       string // empty: as it is, or the default
	uid         string // a number, or keep; empty: the program's
	version     string
	needed      []variable // by the program, unless the user has set them
	remarks     []string   // what is known of the program, against what is wanted
}

// get returns a variable; one that is not wanted has no value.
func (s *settings) get(name string) variable {
	i := slices.IndexFunc(s.variables, func(v variable) bool { return v.name == name })
	if i < 0 {
		return variable{name: name}
	}
	return s.variables[i]
}

// decides tells whether a variable is to be set, or unset, whatever podsignal has.
func (s *settings) decides(name string) bool {
	return slices.ContainsFunc(s.variables, func(v variable) bool { return v.name == name })
}

// set has a variable set. The variables are in the order of the annotations, and the others,
// of --env, come after them.
func (s *settings) set(v variable) {
	s.variables = slices.DeleteFunc(s.variables, func(other variable) bool { return other.name == v.name })
	s.variables = append(s.variables, v)
	place := func(v variable) int {
		i := slices.IndexFunc(annotation.All, func(a annotation.Annotation) bool { return a.Variable == v.name })
		return cmp.Or(i+1, len(annotation.All)+1)
	}
	slices.SortStableFunc(s.variables, func(a, b variable) int { return cmp.Compare(place(a), place(b)) })
}

// validates tells whether podsignal is to run in the program's image.
func (s *settings) validates() bool { return s.get("VALIDATE").value != "" }

// asks tells whether podsignal is asked for.
func (s *settings) asks() bool { return slices.ContainsFunc(s.variables, variable.asks) }

// settings returns what the flags say, or else the annotations. Empty counts as unset.
func (w workload) settings(opts options) (settings, error) {
	want := settings{version: opts.version}
	var errs []error
	for i := range annotation.All {
		a := &annotation.All[i]
		v := variable{name: a.Variable, value: strings.TrimSpace(opts.flags[a.Name]), by: "--" + a.Name}
		if v.value == "" {
			v.value, v.by = w.annotation(a), "annotation "+a.Key()
		}
		if v.value == "" {
			continue
		}
		err := v.check()
		if err == nil {
			err = a.Check(v.value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s=%q %w", w.name, v.by, v.value, err))
		}
		want.take(a, v)
	}
	for _, v := range opts.env {
		if err := v.check(); err != nil && v.value != "" {
			errs = append(errs, fmt.Errorf("%s: %s=%q %w", w.name, v.by, v.value, err))
		}
		want.set(v)
	}
	if !want.asks() {
		return want, nil
	}
	if url, sig := want.get("RELOAD_URL"), want.get("SIGNAL"); url.value != "" && sig.value != "" {
		errs = append(errs, fmt.Errorf("%s: %s and %s: podsignal calls a URL, or sends a signal: remove one of them", w.name, url.by, sig.by))
	}
	if len(errs) > 0 {
		return want, UsageError{errors.Join(errs...)}
	}
	if sig := want.get("SIGNAL"); sig.value != "" {
		number, _ := signal.Parse(sig.value) // it has been checked
		sig.value = signal.Name(number)
		want.set(sig)
	}
	return want, nil
}

// take notes what a flag or an annotation says.
func (s *settings) take(a *annotation.Annotation, v variable) {
	hold := v.value == "true"
	switch a.Name {
	case "container":
		s.container, s.containerBy = v.value, v.by
	case "hold":
		if v.value = ""; hold {
			v.value = annotation.HoldFile
		}
		s.set(v)
	case "image":
		s.image = v.value
	case "uid":
		s.uid = v.value
	case "volume":
		s.volumesBy = v.by
		for volume := range strings.SplitSeq(v.value, ",") {
			s.volumes = append(s.volumes, strings.TrimSpace(volume))
		}
	default:
		s.set(v)
	}
}

// asKnown has the signal be the one that the program is known to reload on, unless another is
// wanted. That it reloads on another, or on none, is a remark. old is the podsignal that is
// there, or nil: one that calls a URL sends no signal, and one with RULES has other programs too.
func (s *settings) asKnown(old *yaml.Node) {
	has := func(name string) bool {
		return s.get(name).value != "" || !s.decides(name) && isSet(itemOf(old, "env", name))
	}
	p := programs.Find(s.get("PROCESS").value, s.get("CMDLINE").value)
	if p == nil || has("RELOAD_URL") || has("RULES") {
		return
	}
	for _, setting := range p.Settings {
		name, value, _ := strings.Cut(setting, "=")
		if !s.decides(name) {
			s.needed = append(s.needed, variable{name: name, value: value})
		}
	}
	sig := s.get("SIGNAL")
	wanted, _ := signal.Parse(sig.value) // none if it is empty
	switch {
	case p.Signal == "" && (sig.value == "" || sig.value == "HUP"):
		s.remarks = append(s.remarks, fmt.Sprintf("%s does not reload on HUP: %s", p.Name, p.Instead))
	case p.Signal == "": // of others, nothing is known
	case sig.value == "" && p.Signal != "HUP":
		s.set(variable{name: "SIGNAL", value: p.Signal})
	case sig.value != "" && sig.value != p.Signal && !signal.MeansEnd(wanted):
		s.remarks = append(s.remarks, fmt.Sprintf("%s=%q: %s reloads on %s, use that", sig.by, sig.value, p.Name, p.Signal))
	}
}

// fitTo looks for what is wanted against what the podsignal that is there has, or nil.
func (s *settings) fitTo(old *yaml.Node) error {
	if sig := s.get("SIGNAL"); sig.value != "" && !s.decides("RELOAD_URL") && isSet(itemOf(old, "env", "RELOAD_URL")) {
		return fmt.Errorf("%s=%q: podsignal has RELOAD_URL, and calls that instead of sending a signal: remove it, by --env RELOAD_URL=", sig.by, sig.value)
	}
	return nil
}

// needsProcesses tells whether podsignal has to see the program's processes. Whoever calls a URL
// need not. old is the podsignal that is there, or nil.
func (s *settings) needsProcesses(old *yaml.Node) bool {
	isProcess := func(name string) bool { return name == "PROCESS" || strings.HasSuffix(name, "_PROCESS") }
	return slices.ContainsFunc(s.variables, func(v variable) bool { return isProcess(v.name) && v.value != "" }) ||
		slices.ContainsFunc(items(old, "env"), func(item *yaml.Node) bool {
			name := text(item, "name")
			return isProcess(name) && isSet(item) && !s.decides(name)
		})
}

// decided are the variables that inject decides on; others are the user's. The signal is one even
// where none is wanted.
func (s *settings) decided() []variable {
	if s.decides("SIGNAL") {
		return s.variables
	}
	return append(slices.Clone(s.variables), variable{name: "SIGNAL"})
}
