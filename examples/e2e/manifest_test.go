//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type object = map[string]any

// A manifest is that of an example, with the changes of a case.
type manifest []object

// read reads the manifest of an example, renamed to the case, so that cases can run side
// by side: what has the example's name gets the case's, and "nginx-conf" becomes "case-conf".
func read(t *testing.T, example, name string) manifest {
	t.Helper()
	m := decode(t, "../"+example+"/kubernetes.yaml")
	for _, o := range m {
		rename(o, example, name)
	}
	return m
}

func decode(t *testing.T, path string) manifest {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var m manifest
	for documents := yaml.NewDecoder(file); ; {
		var o object
		if err := documents.Decode(&o); errors.Is(err, io.EOF) {
			return m
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		m = append(m, o)
	}
}

// rename replaces the names of the example's objects, wherever something has a name or a
// reference to one.
func rename(node any, example, name string) {
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			rename(item, example, name)
		}
	case object:
		for key, value := range node {
			switch key {
			case "metadata", "configMap", "secret", "configMapRef":
				for _, field := range []string{"name", "secretName"} {
					if old, ok := value.(object)[field].(string); ok {
						value.(object)[field] = name + strings.TrimPrefix(old, example)
					}
				}
			case "app.kubernetes.io/name":
				node[key] = name
			}
			rename(value, example, name)
		}
	}
}

// kind returns the only object of that kind.
func (m manifest) kind(kind string) object {
	i := slices.IndexFunc(m, func(o object) bool { return o["kind"] == kind })
	return m[i]
}

// workload returns the object that has the pods.
func (m manifest) workload() object {
	i := slices.IndexFunc(m, func(o object) bool {
		return slices.Contains([]string{"Deployment", "StatefulSet", "Job"}, o["kind"].(string))
	})
	return m[i]
}

// pod returns the specification of the pods.
func (m manifest) pod() object {
	return m.workload()["spec"].(object)["template"].(object)["spec"].(object)
}

func (m manifest) containers() []object {
	var all []object
	for _, field := range []string{"initContainers", "containers"} {
		items, _ := m.pod()[field].([]any)
		for _, item := range items {
			all = append(all, item.(object))
		}
	}
	return all
}

func (m manifest) container(name string) object {
	all := m.containers()
	return all[slices.IndexFunc(all, func(o object) bool { return o["name"] == name })]
}

func (m manifest) volume(name string) object {
	all := m.pod()["volumes"].([]any)
	return all[slices.IndexFunc(all, func(o any) bool { return o.(object)["name"] == name })].(object)
}

// mount adds a volume to the pod, if it is none yet, and to the containers of these names.
func (m manifest) mount(volume object, path string, containers ...string) {
	spec := m.pod()
	if !slices.ContainsFunc(spec["volumes"].([]any), func(o any) bool { return o.(object)["name"] == volume["name"] }) {
		spec["volumes"] = append(spec["volumes"].([]any), volume)
	}
	for _, name := range containers {
		c := m.container(name)
		c["volumeMounts"] = append(c["volumeMounts"].([]any), object{"name": volume["name"], "mountPath": path})
	}
}

// set sets variables of podsignal; without a value it takes them away.
func (m manifest) set(variables object) {
	c := m.container("podsignal")
	env := slices.DeleteFunc(c["env"].([]any), func(item any) bool {
		_, ok := variables[item.(object)["name"].(string)]
		return ok
	})
	for name, value := range variables {
		switch value := value.(type) {
		case object:
			env = append(env, object{"name": name, "valueFrom": value})
		case string:
			env = append(env, object{"name": name, "value": value})
		}
	}
	c["env"] = env
}

// configMap and secret make an object of the case, with its label.
func (m manifest) configMap(suffix string, data map[string]any) object {
	return m.config("ConfigMap", "data", suffix, data)
}

func (m manifest) secret(suffix string, data map[string]any) object {
	return m.config("Secret", "stringData", suffix, data)
}

func (m manifest) config(kind, field, suffix string, data object) object {
	metadata := m.workload()["metadata"].(object)
	return object{
		"apiVersion": "v1", "kind": kind, field: data,
		"metadata": object{"name": metadata["name"].(string) + suffix, "labels": metadata["labels"]},
	}
}

// toSecret makes a Secret of the ConfigMap, and has the pod mount that.
func (m manifest) toSecret() {
	config := m.kind("ConfigMap")
	config["kind"], config["stringData"] = "Secret", config["data"]
	delete(config, "data")
	for _, item := range m.pod()["volumes"].([]any) {
		if o := item.(object); o["configMap"] != nil {
			o["secret"] = object{"secretName": o["configMap"].(object)["name"]}
			delete(o, "configMap")
		}
	}
}

// images are the variables that name others than the examples do.
var images = []struct{ prefix, variable string }{
	{"podsignal:", "E2E_PODSIGNAL_IMAGE"},
	{"kubectl-podsignal:", "E2E_PLUGIN_IMAGE"},
	{"nginx:", "E2E_NGINX_IMAGE"},
	{"nginxinc/nginx-unprivileged:", "E2E_UNPRIVILEGED_IMAGE"},
	{"haproxy:", "E2E_HAPROXY_IMAGE"},
	{"edoburu/pgbouncer:", "E2E_PGBOUNCER_IMAGE"},
	{"busybox:", "E2E_SHELL_IMAGE"},
}

// imageOf returns the image to take in place of an example's.
func imageOf(t *testing.T, image string) (taken string, replaced bool) {
	t.Helper()
	for _, i := range images {
		if !strings.HasPrefix(image, i.prefix) {
			continue
		}
		if taken := os.Getenv(i.variable); taken != "" {
			return taken, true
		}
		return image, false
	}
	t.Fatalf("no variable names the image %s", image)
	return "", false
}

// debian are the folders of Debian's nginx that are written to, or show a site of its
// own on port 80. The official image can do without them too.
var debian = []string{"/var/lib/nginx", "/var/log/nginx", "/etc/nginx/sites-enabled"}

// setImages puts in the images that the environment names.
func (m manifest) setImages(t *testing.T) {
	t.Helper()
	for _, c := range m.containers() {
		image, replaced := imageOf(t, c["image"].(string))
		if replaced && strings.HasPrefix(c["image"].(string), "nginx:") {
			c["command"] = []string{"nginx", "-g", "daemon off; error_log stderr notice;"}
			for _, folder := range debian {
				name := c["name"].(string) + strings.ReplaceAll(folder, "/", "-")
				m.mount(object{"name": name, "emptyDir": object{}}, folder, c["name"].(string))
			}
		}
		c["image"] = image
		// The default of an image :latest is to pull it, though the node has it.
		c["imagePullPolicy"] = "IfNotPresent"
		if policy := os.Getenv("E2E_PULL_POLICY"); policy != "" {
			c["imagePullPolicy"] = policy
		}
	}
}

// list returns the manifest as kubectl takes it.
func (m manifest) list(t *testing.T) []byte {
	t.Helper()
	content, err := json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": m})
	if err != nil {
		t.Fatal(err)
	}
	return content
}
