package sidecar

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podsignal/podsignal/cmd/internal/deliver"
	"github.com/podsignal/podsignal/cmd/internal/status"
)

func TestFind(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	native := func(c corev1.Container) corev1.PodSpec {
		c.RestartPolicy = &always
		return corev1.PodSpec{InitContainers: []corev1.Container{{Name: "setup"}, c}, Containers: []corev1.Container{{Name: "web", Image: "nginx"}}}
	}
	for _, test := range []struct {
		name              string
		spec              corev1.PodSpec
		container, binary string // none if empty
	}{
		{"as podsignal inject adds it", native(corev1.Container{Name: "podsignal", Image: "podsignal:0.1.0"}), "podsignal", "/podsignal"},
		{"in the program's image", native(corev1.Container{Name: "podsignal", Image: "nginx:1.28", Command: []string{"/podsignal-bin/podsignal"}}), "podsignal", "/podsignal-bin/podsignal"},
		{"of another name", native(corev1.Container{Name: "reload", Image: "registry.example.com:5000/tools/podsignal@sha256:0123"}), "reload", "/podsignal"},
		{"of another name and image", native(corev1.Container{Name: "reload", Image: "tools", Command: []string{"/opt/podsignal"}}), "reload", "/opt/podsignal"},
		{"as a container", corev1.PodSpec{Containers: []corev1.Container{{Name: "web"}, {Name: "podsignal"}}}, "podsignal", "/podsignal"},
		{"its name wins", corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "podsignal"}, {Name: "podsignal", Image: "x"}}}, "podsignal", "/podsignal"},
		{"another image", native(corev1.Container{Name: "reload", Image: "example.com/podsignal/reloader:1"}), "", ""},
		{"the image with another command", native(corev1.Container{Name: "reload", Image: "podsignal:0.1.0", Command: []string{"/sh"}}), "", ""},
		{"an init container that ends", corev1.PodSpec{InitContainers: []corev1.Container{{Name: "podsignal", Image: "podsignal"}}}, "", ""},
		{"none", corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := Find(&test.spec)
			switch {
			case found == nil && test.container != "":
				t.Error("it was not found")
			case found != nil && (found.Container.Name != test.container || found.Binary != test.binary):
				t.Errorf("found was %s with %s", found.Container.Name, found.Binary)
			}
		})
	}
}

// TestFields: what is read of podsignal's status has the names that podsignal gives it.
func TestFields(t *testing.T) {
	var of deliver.Status
	fill(reflect.ValueOf(&of).Elem())
	written, err := json.Marshal(status.Document{Version: "1", Status: &of})
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string][]byte{"one": written, "rules": []byte(`{"rules":[` + string(written) + `]}`)} {
		all, err := parse(out)
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v, %v", name, all, err)
		}
		check(t, name, reflect.ValueOf(all[0]))
	}
}

// fill sets all fields to what is not left out.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[deliver.Moment]() {
			v.Set(reflect.ValueOf(deliver.Moment{Time: time.Unix(1, 0)}))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Figures" { // which is not shown
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	}
}

// check reports each field that was not read.
func check(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			break
		}
		for i := range v.NumField() {
			check(t, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			check(t, name, v.Elem())
			return
		}
	case reflect.Slice:
		for i := range v.Len() {
			check(t, name, v.Index(i))
		}
	}
	if v.IsZero() {
		t.Errorf("%s was not read", name)
	}
}
