package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/podsignal/podsignal/signal"
)

// ofService tells whether Kubernetes sets a variable for a Service in the namespace,
// such as WEB_PORT_80_TCP_ADDR
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
func ofService(variable string) bool {
	return strings.Contains(variable, "_PORT") || strings.HasSuffix(variable, "_SERVICE_HOST")
}

// A Typo is a variable that is none of podsignal's, but nearly.
type Typo struct{ Name, Likely string }

// Error asks whether the other was meant.
func (t Typo) Error() string {
	return fmt.Sprintf("%s is not a variable of podsignal: did you mean %s?", t.Name, t.Likely)
}

// Variables are the names of podsignal's, those of these rules among them.
func Variables(rules []string) (known []string) {
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

// findTypos are those of the other variables that are one edit away from one that is known.
func findTypos(others, known []string) (typos []Typo) {
	for _, name := range others {
		near := func(other string) bool { return signal.OneEdit(name, other) }
		if i := slices.IndexFunc(known, near); i >= 0 {
			typos = append(typos, Typo{name, known[i]})
		}
	}
	return typos
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
