package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// rule is the line above and below the modules that a text is of.
var rule = strings.Repeat("=", 80) + "\n"

// writeLicences writes each text below the modules that it is of.
func writeLicences(out io.Writer, program, version string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	bom, licences, err := read(program, version, content)
	if err != nil {
		return err
	}
	text, err := joinLicences(append([]cdx.Component{*bom.Metadata.Component}, *bom.Components...), licences)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

// joinLicences fails for a component without a text: it may not be given away.
func joinLicences(components []cdx.Component, licences map[string]licence) (string, error) {
	var texts []string // in the order of components
	of := make(map[string][]string)
	for _, c := range components {
		if len(licences[c.Name].texts) == 0 {
			return "", fmt.Errorf("module %s has no file with a licence", c.Name)
		}
		for _, text := range licences[c.Name].texts {
			if of[text] == nil {
				texts = append(texts, text)
			}
			of[text] = append(of[text], c.Name+" "+c.Version+"\n")
		}
	}
	var out strings.Builder
	for _, text := range texts {
		out.WriteString(rule + strings.Join(slices.Compact(of[text]), "") + rule + "\n" + text + "\n\n")
	}
	return out.String(), nil
}
