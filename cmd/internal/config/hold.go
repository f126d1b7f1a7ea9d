package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// holdFiles are those of HOLD of all rules: no rule takes the volume of one for its program's.
func holdFiles(rules []string) (files []string) {
	for _, name := range append(slices.Clone(rules), "") {
		if file := strings.TrimSpace(os.Getenv(prefix(name) + "HOLD")); file != "" {
			files = append(files, file)
		}
	}
	return files
}

// hold is the file of HOLD.
func (env *ruleEnvironment) hold(files []string, invalid func(variable, value, fix string)) string {
	if env.Hold == "" {
		return ""
	}
	file, err := filepath.Abs(env.Hold)
	if err != nil {
		invalid("HOLD", env.Hold, "is relative to a folder that is gone: use a path that begins with /")
	}
	for _, path := range files {
		if file == path || strings.HasPrefix(file, strings.TrimSuffix(path, "/")+"/") {
			invalid("HOLD", env.Hold, fmt.Sprintf("is part of FILE (%s), so that an approval would be a change too: mount it elsewhere", path))
		}
	}
	return file
}
