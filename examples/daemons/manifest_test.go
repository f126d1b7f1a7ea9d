package daemons_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// A manifest has those fields of an object of Kubernetes that are used here.
type manifest struct {
	Kind       string
	Metadata   struct{ Name string }
	Data       volumetest.Files
	StringData volumetest.Files `yaml:"stringData"`
	Spec       struct{ Template struct{ Spec podSpec } }
}

type podSpec struct {
	SecurityContext securityContext `yaml:"securityContext"`
	InitContainers  []containerSpec `yaml:"initContainers"`
	Containers      []containerSpec
	Volumes         []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			SecretName string `yaml:"secretName"`
		}
	}
}

type containerSpec struct {
	Name          string
	Command, Args []string
	Env           []struct{ Name, Value string }
	VolumeMounts  []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	SecurityContext securityContext `yaml:"securityContext"`
}

type securityContext struct {
	RunAsUser *int `yaml:"runAsUser"`
	ReadOnly  bool `yaml:"readOnlyRootFilesystem"`
}

// example adds to d all that the kubernetes.yaml of its folder says, or another file below
// examples: the files, where they are mounted, podsignal's environment and uid (the row's,
// where the image decides), and the daemon's arguments, environment, uid and folders to
// write to. Where there are several daemons, d.rule says which one; d.env is then
// podsignal's for the others.
func example(folder string, d daemon) daemon {
	objects := manifests(folder)
	workload := slices.IndexFunc(objects, func(m manifest) bool { return len(m.Spec.Template.Spec.Containers) > 0 })
	pod := objects[workload].Spec.Template.Spec
	sidecar := slices.IndexFunc(pod.InitContainers, func(c containerSpec) bool { return c.Name == "podsignal" })
	podsignal, program, prefix := pod.InitContainers[sidecar], pod.Containers[0], ""
	if d.rule != "" {
		i := slices.IndexFunc(pod.Containers, func(c containerSpec) bool { return c.Name == d.rule })
		program, prefix = pod.Containers[i], strings.ToUpper(d.rule)+"_"
	}

	d.folder, d.signal = folder, "HUP"
	for _, env := range podsignal.Env {
		switch strings.TrimPrefix(env.Name, prefix) {
		case "FILE":
			paths := strings.Split(env.Value, ",")
			d.file, d.dir, d.volumes = env.Value, paths[0], paths[1:]
		case "PROCESS":
			d.process = env.Value
		case "SIGNAL":
			d.signal = env.Value
		case "RELOAD_URL":
			d.url, d.signal = env.Value, ""
		default:
			d.env = append(d.env, env.Name+"="+env.Value)
		}
	}
	d.sidecar, d.as = cmp.Or(pod.userOf(podsignal), d.sidecar), pod.userOf(program)

	// The image's own command is the row's.
	if len(program.Command) > 0 {
		d.args = program.Command[1:]
	}
	d.args = slices.Concat(d.args, program.Args)
	for _, env := range program.Env {
		if env.Value != "" {
			d.environ = append(d.environ, env.Name+"="+env.Value)
		}
	}

	conf := podsignal.volumeAt(d.dir)
	for _, volume := range pod.Volumes {
		for _, m := range objects {
			switch {
			case volume.Name != conf:
			case m.Kind == "ConfigMap" && m.Metadata.Name == volume.ConfigMap.Name:
				d.files = m.Data
			case m.Kind == "Secret" && m.Metadata.Name == volume.Secret.SecretName:
				d.files = m.StringData
			}
		}
	}
	d.prepare, d.readOnly = program.writable(d.prepare, d.watched()), program.SecurityContext.ReadOnly
	return d
}

// volumeAt returns the name of the volume that a container mounts at a path.
func (c containerSpec) volumeAt(path string) string {
	for _, m := range c.VolumeMounts {
		if m.MountPath == path {
			return m.Name
		}
	}
	panic(fmt.Sprintf("%s mounts nothing at %s", c.Name, path))
}

// writable returns what mounts a container's volumes that are not watched, and then does
// what image does.
func (c containerSpec) writable(image func() error, watched []string) func() error {
	var steps []func() error
	for _, m := range c.VolumeMounts {
		if !slices.Contains(watched, m.MountPath) {
			steps = append(steps, folders(m.MountPath), mount("tmpfs", m.MountPath, "tmpfs", 0, "mode=0777"))
		}
	}
	if image != nil {
		steps = append(steps, image)
	}
	return func() error { return inTurn(steps...) }
}

// userOf returns the uid that a container runs as, or nothing where its image decides.
func (p podSpec) userOf(c containerSpec) string {
	if uid := cmp.Or(c.SecurityContext.RunAsUser, p.SecurityContext.RunAsUser); uid != nil {
		return strconv.Itoa(*uid)
	}
	return ""
}

func manifests(folder string) []manifest {
	file := filepath.Join("..", folder)
	if filepath.Ext(folder) == "" {
		file = filepath.Join(file, "kubernetes.yaml")
	}
	content, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	var objects []manifest
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	for {
		var m manifest
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			panic(fmt.Errorf("%s: %w", folder, err))
		}
		objects = append(objects, m)
	}
}
