package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// portOf is that of --listen, or of the annotation, or nil. LISTEN alone, of --env, is the user's.
func portOf(want settings) *yaml.Node {
	listen := want.get("LISTEN")
	if listen.value == "" || strings.HasPrefix(listen.by, "--env") {
		return nil
	}
	return object("name", str(name), "containerPort", number(strings.TrimPrefix(listen.value, ":")))
}

// portTaken is an error if another container has the port: all of a pod share theirs.
func portTaken(spec *yaml.Node, want settings) error {
	number := text(portOf(want), "containerPort")
	for _, c := range longRunning(spec) {
		for _, port := range items(c, "ports") {
			if number != "" && text(port, "containerPort") == number {
				listen := want.get("LISTEN")
				return fmt.Errorf("%s=%q: container %s has that port: use another", listen.by, listen.value, text(c, "name"))
			}
		}
	}
	return nil
}

// liveness is as in OPERATIONS.md.
func liveness() *yaml.Node {
	return object("httpGet", object("path", str("/healthz"), "port", str(name)), "timeoutSeconds", number("5"))
}

// listen gives a podsignal that is there a port and a probe. A probe of the user's stays.
func (w workload) listen(container *yaml.Node, want settings) error {
	port := portOf(want)
	if port == nil {
		return nil
	}
	ports, err := w.ownOrNew(container, yaml.SequenceNode, "ports")
	if err != nil {
		return err
	}
	isPort := func(item *yaml.Node) bool { return text(item, "name") == name }
	same := func(item *yaml.Node) bool {
		return isPort(item) && text(item, "containerPort") == text(port, "containerPort")
	}
	if !slices.ContainsFunc(ports.Content, same) {
		replaceItems(ports, []*yaml.Node{port}, isPort)
	}
	if lookup(container, "livenessProbe") == nil {
		set(container, "livenessProbe", liveness())
	}
	return nil
}
