// Package manifests_test holds the YAML in the examples against the types of
// Kubernetes, and the pods in it against what podsignal needs.
//
// It is a module of its own, so that podsignal's own go.mod stays small.
package manifests_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/cmd/kustomize"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// decoder refuses fields that a type has not, keys that come twice, and kinds of any
// other group than these. A kind that has pods needs its case in podOf too.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionv1.AddToScheme,
		appsv1.AddToScheme,
		batchv1.AddToScheme,
		corev1.AddToScheme,
		rbacv1.AddToScheme,
		monitoringv1.AddToScheme, // the Prometheus operator
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// decode returns the objects in a file of YAML documents, those of lists too.
func decode(content []byte) ([]runtime.Object, error) {
	var objects []runtime.Object
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if json, err := yaml.YAMLToJSON(document); err == nil && string(json) == "null" {
			continue // only comments, which kubectl passes over too
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(objects)+1, err)
		}
		list, ok := object.(*corev1.List)
		if !ok {
			objects = append(objects, object)
			continue
		}
		for i, item := range list.Items {
			inner, err := decode(item.Raw)
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			objects = append(objects, inner...)
		}
	}
}

// decodeKustomization reads a kustomization.yaml, also that of a component.
func decodeKustomization(content []byte) (types.Kustomization, error) {
	var k types.Kustomization
	// Its own Unmarshal lets keys pass that come twice.
	if err := yaml.UnmarshalStrict(content, &k); err != nil {
		return k, err
	}
	if faults := k.EnforceFields(); len(faults) > 0 {
		return k, errors.New(strings.Join(faults, "; "))
	}
	return k, nil
}

// render returns what `kubectl kustomize dir` prints, as objects.
func render(t *testing.T, dir string) []runtime.Object {
	t.Helper()
	built := build(t, dir)
	objects, err := decode(built)
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v\n%s", dir, err, built)
	}
	return objects
}

// build returns what kubectl kustomize prints.
func build(t *testing.T, dir string) []byte {
	t.Helper()
	var stdout bytes.Buffer
	command := kustomize.NewCmdKustomize(genericiooptions.IOStreams{Out: &stdout, ErrOut: io.Discard})
	command.SetArgs([]string{dir})
	command.SilenceErrors, command.SilenceUsage = true, true
	if err := command.Execute(); err != nil {
		t.Fatalf("kubectl kustomize %s: %v", dir, err)
	}
	return stdout.Bytes()
}
