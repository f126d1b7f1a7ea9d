package inject

import (
	"math/big"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A size is what podsignal's containers get of processor and memory.
type size struct {
	resources *yaml.Node // nil: they share those of the pod
	isWhole   bool       // what they request is their limit, as in all containers of the pod
	remark    string
}

// sizeOf keeps the pod in its class of quality of service
// (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).
func sizeOf(spec *yaml.Node) size {
	const memory = "32Mi"
	switch {
	case lookup(spec, "resources", "limits") != nil || lookup(spec, "resources", "requests") != nil:
		return size{}
	case isGuaranteed(spec):
		return size{
			resources: whole(str(memory)),
			isWhole:   true,
			remark:    "the pod's quality of service is Guaranteed, and stays so: podsignal gets 50m of CPU and 32Mi of memory, as request and as limit",
		}
	}
	return size{resources: burstable(str(memory))}
}

// whole requests what is the limit.
func whole(memory *yaml.Node) *yaml.Node {
	all := func() *yaml.Node { return object("cpu", str("50m"), "memory", copied(memory)) }
	return object("requests", all(), "limits", all())
}

// burstable has a limit of memory alone: one of the processor would slow a reload down.
func burstable(memory *yaml.Node) *yaml.Node {
	r := object("requests", object("cpu", str("1m"), "memory", str("16Mi")))
	if memory != nil {
		set(r, "limits", object("memory", copied(memory)))
	}
	return r
}

// withMemory is the size with another limit of memory; nil: none.
func (s size) withMemory(limit *yaml.Node) size {
	switch {
	case s.isWhole:
		s.resources = whole(limit)
	case s.resources != nil:
		s.resources = burstable(limit)
	}
	return s
}

// set gives it to a container.
func (s size) set(container *yaml.Node) {
	if s.resources == nil {
		unset(container, "resources")
		return
	}
	set(container, "resources", copied(s.resources))
}

// isGuaranteed tells whether all containers of the pod, without podsignal's, have limits of
// processor and memory that are what they request.
func isGuaranteed(spec *yaml.Node) bool {
	all := slices.Concat(items(spec, "containers"), items(spec, "initContainers"))
	return !slices.ContainsFunc(all, func(c *yaml.Node) bool {
		if n := text(c, "name"); n == name || n == installer {
			return false
		}
		return !isFixed(c, "cpu") || !isFixed(c, "memory")
	})
}

// isFixed tells whether a container requests what is its limit. Without a request the limit is
// one.
func isFixed(c *yaml.Node, resource string) bool {
	limit, ok := quantity(text(c, "resources", "limits", resource))
	request := text(c, "resources", "requests", resource)
	if !ok || limit.Sign() == 0 || request == "" {
		return ok && limit.Sign() > 0
	}
	requested, ok := quantity(request)
	return ok && requested.Cmp(limit) == 0
}

// suffixes are those of quantities
// (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
var suffixes = []struct {
	suffix string
	factor string
}{
	{"Ki", "1024"},
	{"Mi", "1048576"},
	{"Gi", "1073741824"},
	{"Ti", "1099511627776"},
	{"n", "1e-9"},
	{"u", "1e-6"},
	{"m", "1e-3"},
	{"k", "1e3"},
	{"M", "1e6"},
	{"G", "1e9"},
	{"T", "1e12"},
}

// quantity reads an amount such as 500m or 1Gi.
func quantity(s string) (*big.Rat, bool) {
	factor := big.NewRat(1, 1)
	for _, unit := range suffixes {
		if rest, found := strings.CutSuffix(s, unit.suffix); found {
			s = rest
			factor.SetString(unit.factor)
			break
		}
	}
	const most = 32 // digits: an exponent may be anything
	if len(s) > most || strings.ContainsAny(s, "/_xXpP") {
		return nil, false
	}
	if _, exponent, found := strings.Cut(strings.ToLower(s), "e"); found && len(exponent) > 3 {
		return nil, false
	}
	amount, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, false
	}
	return amount.Mul(amount, factor), true
}
