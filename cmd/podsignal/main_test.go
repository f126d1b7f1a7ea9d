package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"podsignal": main})
}

// The scripts in testdata are podsignal's behaviour as its users see it. Each is
// named after the clause of the contract that it holds; script_test.go has the
// commands that they are made of.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Setup:         setup,
		Condition:     condition,
		Cmds:          commands,
		UpdateScripts: false,
	})
}
