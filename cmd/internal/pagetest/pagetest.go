// Package pagetest compares names in the code with those that a page promises. The tables of the
// pages are the lists of what is promised: cmd/podsignal/STABILITY.md names them.
package pagetest

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Section is the text below a heading of the second level.
func Section(t testing.TB, file, heading string) string {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %s", file, heading)
	}
	text, _, _ := strings.Cut(after, "\n## ")
	return text
}

var (
	firstCell = regexp.MustCompile(`(?m)^\| (.*?[^\\]) \|`)
	code      = regexp.MustCompile("\\*?`([^`]+)`\\*?")
)

// Names are what is in backticks in the first cells of the tables of a text. One in italics, such as
// *`pid`*, keeps its asterisks.
func Names(text string) (all []string) {
	for _, row := range firstCell.FindAllStringSubmatch(text, -1) {
		for _, name := range code.FindAllString(row[1], -1) {
			all = append(all, strings.ReplaceAll(name, "`", ""))
		}
	}
	return all
}

// Compare wants the code to have all that a page promises, and the page all that the code has.
func Compare(t testing.TB, page string, inCode, onPage []string) {
	t.Helper()
	for _, name := range onPage {
		if !slices.Contains(inCode, name) {
			t.Errorf("%s promises %s, and the code does not have it: whoever uses it breaks. See STABILITY.md", page, name)
		}
	}
	for _, name := range inCode {
		if !slices.Contains(onPage, name) {
			t.Errorf("%s does not have %s, which the code has: add it there, and it is promised from then on", page, name)
		}
	}
}

// Fields are the fields of a type in JSON, and below each those of what it holds, but not of the
// types of told. What may be left out is in asterisks.
func Fields(of reflect.Type, told ...reflect.Type) []string { return fields(of, "", told) }

func fields(of reflect.Type, prefix string, told []reflect.Type) (all []string) {
	for field := range of.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		held := field.Type
		if held.Kind() == reflect.Pointer {
			held = held.Elem()
		}
		if field.Anonymous && name == "" {
			all = append(all, fields(held, prefix, told)...)
		}
		if name == "" || name == "-" {
			continue
		}
		name = prefix + name
		if strings.HasPrefix(options, "omit") {
			all = append(all, "*"+name+"*")
		} else {
			all = append(all, name)
		}
		below := name + "."
		if held.Kind() == reflect.Slice {
			held, below = held.Elem(), name+"[]."
		}
		if held.Kind() == reflect.Struct && !slices.Contains(told, held) {
			all = append(all, fields(held, below, told)...)
		}
	}
	return all
}
