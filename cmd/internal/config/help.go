package config

import (
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"
)

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

// PrintVariables prints the table of all variables.
func PrintVariables(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	// Not envconfig.Usagef: text/template calls methods by name, so that the linker
	// has to keep all of them, 2 MB.
	fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	for _, field := range variables() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", field.Tag.Get("envconfig"), field.Tag.Get("default"), field.Tag.Get("desc"))
	}
	return table.Flush()
}
