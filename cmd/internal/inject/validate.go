package inject

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/config"
)

// With --validate podsignal runs in the program's image, which has the command and all that the
// command needs. podsignal's own image is empty: an init container copies the binary out of it
// into a volume that both mount.
const (
	installer = name + "-install"
	binaries  = name + "-bin" // the volume
	folder    = "/" + binaries
)

// validating tells whether a podsignal that is there runs in the program's image.
func validating(old *yaml.Node) bool {
	return slices.ContainsFunc(items(old, "volumeMounts"), func(m *yaml.Node) bool { return text(m, "name") == binaries })
}

// install adds the init container and the volume, or brings those that are there to the same
// state: what inject does not decide on stays. image is podsignal's.
func (w workload) install(spec *yaml.Node, image string, size size) error {
	volumes, err := w.ownOrNew(spec, yaml.SequenceNode, "volumes")
	if err != nil {
		return err
	}
	if lookup(itemOf(spec, "volumes", binaries), "emptyDir") == nil {
		// A copy that is replaced is there twice for a moment.
		volume := object("name", str(binaries), "emptyDir", object("sizeLimit", str("32Mi")))
		replaceItems(volumes, []*yaml.Node{volume}, func(item *yaml.Node) bool { return text(item, "name") == binaries })
	}

	inits, err := w.own(spec, yaml.SequenceNode, "initContainers")
	if err != nil {
		return err
	}
	container := object(
		"name", str(installer),
		"image", str(image),
		"imagePullPolicy", str("IfNotPresent"),
		"args", flow(list(str("install"), str(folder))),
		"volumeMounts", list(object("name", str(binaries), "mountPath", str(folder))),
		"securityContext", object(
			"runAsUser", number("65532"),
			"runAsNonRoot", boolean(true),
			"allowPrivilegeEscalation", boolean(false),
			"readOnlyRootFilesystem", boolean(true),
			"capabilities", object("drop", flow(list(str("ALL")))),
			"seccompProfile", object("type", str("RuntimeDefault")),
		),
	)
	size.set(container)
	there, err := w.findOwn(spec, installer)
	if err != nil {
		return err
	}
	at := slices.Index(inits.Content, there)
	sidecar := slices.IndexFunc(inits.Content, func(c *yaml.Node) bool { return text(c, "name") == name })
	if at >= 0 && at < sidecar {
		decided := []string{"image", "args", "volumeMounts"}
		for i := 0; i+1 < len(container.Content); i += 2 {
			if key := container.Content[i].Value; slices.Contains(decided, key) || indexKey(there, key) < 0 {
				set(there, key, container.Content[i+1])
			}
		}
		return nil
	}
	if at >= 0 { // behind podsignal, which would never start
		inits.Content = slices.Delete(inits.Content, at, at+1)
	}
	inits.Content = slices.Insert(inits.Content, sidecar, container)
	return nil
}

// uninstall removes what install has added.
func (w workload) uninstall(spec *yaml.Node) error {
	for key, name := range map[string]string{"volumes": binaries, "initContainers": installer} {
		list, err := w.own(spec, yaml.SequenceNode, key)
		if err != nil {
			return err
		}
		if list != nil {
			replaceItems(list, nil, func(item *yaml.Node) bool { return text(item, "name") == name })
		}
	}
	return nil
}

// imageOfInstaller is podsignal's image: that of the init container, or of a podsignal that runs
// in it, unless another is wanted.
func imageOfInstaller(spec, old *yaml.Node, want settings) string {
	image := text(itemOf(spec, "initContainers", installer), "image")
	if image == "" && old != nil && !validating(old) {
		image = text(old, "image")
	}
	return cmp.Or(want.image, image, imageOf(want))
}

// validatingSidecar returns podsignal's container in the program's image. It has what the
// program has, but for what makes the program run: command, arguments, ports and probes.
func (w workload) validatingSidecar(p plan, want settings) *yaml.Node {
	target := p.target
	c := object("name", str(name), "image", copied(lookup(target, "image")))
	for _, key := range []string{"imagePullPolicy", "workingDir"} {
		if value := lookup(target, key); value != nil {
			set(c, key, copied(value))
		}
	}
	set(c, "command", flow(list(str(folder+"/"+name))))
	set(c, "restartPolicy", str("Always"))
	if from := lookup(target, "envFrom"); from != nil {
		set(c, "envFrom", copied(from))
	}
	set(c, "env", list(validatingEnv(p, want)...))
	set(c, "volumeMounts", list(w.validatingMounts(p)...))
	if security := lookup(target, "securityContext"); security != nil {
		set(c, "securityContext", copied(security))
	}
	p.size.withMemory(lookup(target, "resources", "limits", "memory")).set(c)
	return c
}

// validatingMounts are the program's, those that are watched read-only, that of the volume with
// podsignal, and what the user has podsignal mount besides, such as a certificate.
func (w workload) validatingMounts(p plan) (all []*yaml.Node) {
	for _, m := range items(p.target, "volumeMounts") {
		m = copied(m)
		if slices.Contains(p.mounts, mount{text(m, "name"), text(m, "mountPath")}) {
			set(m, "readOnly", boolean(true))
		}
		all = append(all, m)
	}
	all = append(all, object("name", str(binaries), "mountPath", str(folder), "readOnly", boolean(true)))
	file := text(itemOf(p.old, "env", "FILE"), "value")
	for _, m := range items(p.old, "volumeMounts") {
		volume, path := text(m, "name"), text(m, "mountPath")
		known := func(n *yaml.Node) bool {
			return text(n, "mountPath") == path || text(n, "name") == volume && !touches(file, path)
		}
		if !slices.ContainsFunc(all, known) && w.hasVolume(p.spec, volume) {
			all = append(all, copied(m))
		}
	}
	return all
}

// hasVolume tells whether the pod has a volume of that name, also by a claim of a StatefulSet.
func (w workload) hasVolume(spec *yaml.Node, volume string) bool {
	return itemOf(spec, "volumes", volume) != nil ||
		slices.ContainsFunc(items(w.object, "spec", "volumeClaimTemplates"), func(claim *yaml.Node) bool {
			return text(claim, "metadata", "name") == volume
		})
}

// validatingEnv is the program's, and after that all of podsignal's, explicitly: what the image,
// or envFrom, has for the program must not configure podsignal. Empty is as good as unset. What
// the user has set for podsignal stays.
func validatingEnv(p plan, want settings) (env []*yaml.Node) {
	target, old := p.target, p.old
	// Kubernetes sets HOSTNAME, and what else is called so means the same to both.
	shared := []string{"HOSTNAME", "POD_NAME", "POD_NAMESPACE"}
	own := slices.DeleteFunc(config.Variables(nil), func(name string) bool { return slices.Contains(shared, name) })
	for _, item := range items(target, "env") {
		if !slices.Contains(own, text(item, "name")) {
			env = append(env, copied(item))
		}
	}
	wanted := make(map[string]string)
	for _, v := range want.needed {
		if !isSet(itemOf(old, "env", v.name)) {
			wanted[v.name] = v.value
		}
	}
	for _, v := range want.decided() {
		wanted[v.name] = v.value
	}
	for _, name := range own {
		item := itemOf(old, "env", name)
		value, decided := wanted[name]
		empty := value == "" && !isSet(item) // kubectl prints such an item without its value
		if item != nil && (!decided || empty) {
			env = append(env, copied(item))
		} else {
			env = append(env, variable{name: name, value: value}.node())
		}
	}
	for _, item := range items(old, "env") {
		known := func(n *yaml.Node) bool { return text(n, "name") == text(item, "name") }
		if !slices.ContainsFunc(env, known) {
			env = append(env, copied(item))
		}
	}
	return env
}

// itemOf is the item of a list that has a name, or nil.
func itemOf(n *yaml.Node, key, name string) *yaml.Node {
	for _, item := range items(n, key) {
		if text(item, "name") == name {
			return item
		}
	}
	return nil
}

// isSet tells whether a variable of a container's env has a value. Empty is as good as unset.
func isSet(item *yaml.Node) bool {
	return strings.TrimSpace(text(item, "value")) != "" || lookup(item, "valueFrom") != nil
}

// copied is a copy without comments and anchors, so that it can be somewhere else.
func copied(n *yaml.Node) *yaml.Node {
	n = resolve(n)
	if n == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	for _, child := range n.Content {
		c.Content = append(c.Content, copied(child))
	}
	return c
}

// injectValidating puts podsignal into the program's image, or brings one that is there to that
// state.
func (w workload) injectValidating(p plan, want settings) (remarks []string, err error) {
	spec, old := p.spec, p.old
	image := imageOfInstaller(spec, old, want)
	container := w.validatingSidecar(p, want)
	if old == nil {
		if err := w.listen(container, want); err != nil {
			return nil, err
		}
		if err := w.addInit(spec, container); err != nil {
			return nil, err
		}
		return nil, w.install(spec, image, p.size)
	}
	remarks = signalRemarks(old, want)
	if was, is := text(old, "image"), text(container, "image"); validating(old) && was != is {
		remarks = append(remarks, fmt.Sprintf("podsignal's image was %s, and is now %s, the program's: validate in the image that it runs", was, is))
	}
	if !w.isInit(old) {
		return nil, fmt.Errorf("podsignal is among the containers, and has to be an init container for --validate: remove it")
	}
	for _, key := range []string{"imagePullPolicy", "workingDir", "envFrom", "securityContext"} {
		if indexKey(container, key) < 0 {
			unset(old, key)
		}
	}
	for i := 0; i+1 < len(container.Content); i += 2 {
		if key := container.Content[i].Value; key != "resources" || !validating(old) {
			set(old, key, container.Content[i+1])
		}
	}
	if err := w.listen(old, want); err != nil {
		return nil, err
	}
	return remarks, w.install(spec, image, p.size)
}

// leaveImage brings a podsignal that runs in the program's image back to its own: what inject
// has not decided on for that stays.
func (w workload) leaveImage(p plan, want settings) (remarks []string, err error) {
	spec, target, old := p.spec, p.target, p.old
	set(old, "image", str(imageOfInstaller(spec, old, want)))
	set(old, "imagePullPolicy", str("IfNotPresent"))
	for _, key := range []string{"command", "workingDir", "envFrom", "securityContext"} {
		unset(old, key)
	}
	p.size.set(old)
	env, err := w.ownOrNew(old, yaml.SequenceNode, "env")
	if err != nil {
		return nil, err
	}
	env.Content = slices.DeleteFunc(env.Content, func(item *yaml.Node) bool {
		program := itemOf(target, "env", text(item, "name"))
		ours := slices.Contains(config.Variables(nil), text(item, "name"))
		programs := program != nil && (!ours || equal(copied(program), copied(item)))
		return !isSet(item) || programs || text(item, "name") == "VALIDATE"
	})
	mounts, err := w.ownOrNew(old, yaml.SequenceNode, "volumeMounts")
	if err != nil {
		return nil, err
	}
	mounts.Content = slices.DeleteFunc(mounts.Content, func(item *yaml.Node) bool {
		return text(item, "name") == binaries || slices.ContainsFunc(items(target, "volumeMounts"), func(m *yaml.Node) bool {
			return text(m, "mountPath") == text(item, "mountPath")
		})
	})
	remarks = []string{"podsignal validated in the program's image, and now runs in its own, without VALIDATE: set --validate, or the annotation podsignal/validate"}
	return remarks, w.uninstall(spec)
}
