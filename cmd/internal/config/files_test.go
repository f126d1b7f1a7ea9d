package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitPatterns(t *testing.T) {
	for list, want := range map[string][]string{
		"":                        nil,
		" , ,":                    nil,
		" a , b/** ":              {"a", "b/**"},
		"{a,b}/*,c":               {"{a,b}/*", "c"},
		"{a,{b,c}},d":             {"{a,{b,c}}", "d"},
		`\{a,b`:                   {`\{a`, "b"},
		`{a\},b},c`:               {`{a\},b}`, "c"},
		`a\,b,c`:                  {`a\,b`, "c"},
		`a\\,b`:                   {`a\\`, "b"},
		"[{],b":                   {"[{]", "b"},
		"[,]a,[^,}]b":             {"[,]a", "[^,}]b"},
		`[\]{],b`:                 {`[\]{]`, "b"},
		"[a,b":                    {"[a", "b"}, // invalid, as the next two
		"{a,b":                    {"{a,b"},
		"a},{b,c}":                {"a}", "{b,c}"},
		"{[}],a},{[{],b},{[,],c}": {"{[}],a}", "{[{],b}", "{[,],c}"},
	} {
		if diff := cmp.Diff(want, splitPatterns(list), cmp.Transformer("none", func(l []string) []string { return append([]string{}, l...) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list, diff)
		}
	}
}
