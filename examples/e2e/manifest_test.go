//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

type object = map[string]any

// read makes the example's manifest the one to apply: with the images that the
// environment names, and with its configuration in an object of the wanted kind.
func (a *app) read(path string) {
	a.Helper()
	file, err := os.Open(path)
	if err != nil {
		a.Fatal(err)
	}
	defer file.Close()
	var items []object
	for documents := yaml.NewDecoder(file); ; {
		var o object
		if err := documents.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			a.Fatalf("%s: %v", path, err)
		}
		items = append(items, o)
		switch o["kind"] {
		case "ConfigMap":
			a.readConfig(o)
		case "Deployment":
			a.readPod(o["spec"].(object)["template"].(object)["spec"].(object))
		}
	}
	a.manifest, err = json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		a.Fatal(err)
	}
}

func (a *app) readConfig(o object) {
	a.config = o["metadata"].(object)["name"].(string)
	a.data = make(map[string]string)
	for key, value := range o["data"].(object) {
		a.data[key] = value.(string)
	}
	if a.kind == "Secret" {
		o["kind"], o["stringData"] = a.kind, o["data"]
		delete(o, "data")
	}
}

// debian are the folders of Debian's nginx that are written to, or show a site of its
// own on port 80. The official image can do without them too.
var debian = []string{"/var/lib/nginx", "/var/log/nginx", "/etc/nginx/sites-enabled"}

func (a *app) readPod(spec object) {
	variables := map[string]string{
		"podsignal": "E2E_PODSIGNAL_IMAGE",
		"nginx":     "E2E_NGINX_IMAGE",
		"app":       "E2E_SHELL_IMAGE",
	}
	for _, item := range slices.Concat(spec["initContainers"].([]any), spec["containers"].([]any)) {
		o := item.(object)
		variable, ok := variables[o["name"].(string)]
		if !ok {
			a.Fatalf("no variable names the image of the container %v", o["name"])
		}
		if image := os.Getenv(variable); image != "" {
			o["image"] = image
			if o["name"] == "nginx" {
				o["command"] = []string{"nginx", "-g", "daemon off;"}
				for _, folder := range debian {
					name := strings.ReplaceAll(folder[1:], "/", "-")
					o["volumeMounts"] = append(o["volumeMounts"].([]any), object{"name": name, "mountPath": folder})
					spec["volumes"] = append(spec["volumes"].([]any), object{"name": name, "emptyDir": object{}})
				}
			}
		}
		// The default of an image :latest is to pull it, though the node has it.
		o["imagePullPolicy"] = "IfNotPresent"
		if policy := os.Getenv("E2E_PULL_POLICY"); policy != "" {
			o["imagePullPolicy"] = policy
		}
	}
	for _, item := range spec["volumes"].([]any) {
		if o := item.(object); o["configMap"] != nil && a.kind == "Secret" {
			o["secret"] = object{"secretName": o["configMap"].(object)["name"]}
			delete(o, "configMap")
		}
	}
}

// edit replaces a word of the configuration, through the API.
func (a *app) edit(word, by string) {
	a.Helper()
	before := maps.Clone(a.data)
	for key, value := range a.data {
		a.data[key] = strings.ReplaceAll(value, word, by)
	}
	if maps.Equal(before, a.data) {
		a.Fatalf("no %q in the configuration: %q", word, a.data)
	}
	field := "data"
	if a.kind == "Secret" {
		field = "stringData"
	}
	patch, err := json.Marshal(object{field: a.data})
	if err != nil {
		a.Fatal(err)
	}
	a.run(a.T, nil, "patch", a.kind, a.config, "--type=merge", "--patch", string(patch))
}
