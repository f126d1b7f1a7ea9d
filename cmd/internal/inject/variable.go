package inject

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/validate"
	"github.com/podsignal/podsignal/signal"
)

// A variable is one of podsignal's environment. Without a value it is not to be there.
type variable struct {
	name, value string
	by          string // the flag or annotation that sets it; empty: inject itself
}

func (v variable) node() *yaml.Node {
	// The kubelet would take $(NAME) for another variable, and $$ for $.
	return object("name", str(v.name), "value", str(strings.ReplaceAll(v.value, "$", "$$")))
}

// asks tells whether the variable asks for podsignal, as one that says what to notify.
func (v variable) asks() bool {
	return v.value != "" && slices.Contains([]string{"PROCESS", "RELOAD_URL", "RULES"}, v.name)
}

// check is what podsignal would say of the value when it starts, for the variables in which a
// mistake is likely.
func (v variable) check() (err error) {
	switch v.name {
	case "PROCESS":
		err = config.CheckProcess(v.value)
	case "CMDLINE":
		_, err = config.ParseCmdline(v.value)
	case "SIGNAL":
		_, err = signal.Parse(v.value)
	case "VALIDATE":
		_, err = validate.Parse(v.value)
	}
	return err
}
