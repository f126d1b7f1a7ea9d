package volume

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	corev1 "k8s.io/api/core/v1"
)

// contents are what a volume shows.
type contents struct {
	files   map[string][sha256.Size]byte // the content of each, by its path in the volume
	unknown map[string]string            // paths whose content only the pod, or somebody else, knows, and why

	odd           string // why any path may show something that nobody knows; empty: it does not
	forbidden     string // why any path may show what may not be read, but is the same in all pods
	secret        bool
	undeliverable []string // why: the kubelet delivers all of a volume or nothing
}

// add adds what a source of a volume has, as the kubelet's plugins for them do (MakePayload of
// pkg/volume/configmap and pkg/volume/secret, collectData of pkg/volume/projected). Later sources
// win.
func (c *contents) add(ctx context.Context, api Getter, namespace string, v *corev1.VolumeSource) error {
	switch {
	case v.ConfigMap != nil:
		s := v.ConfigMap
		return c.addObject(ctx, api, ConfigMap, namespace, s.Name, s.Items, isTrue(s.Optional))
	case v.Secret != nil:
		s := v.Secret
		return c.addObject(ctx, api, Secret, namespace, s.SecretName, s.Items, isTrue(s.Optional))
	case v.DownwardAPI != nil:
		for _, item := range v.DownwardAPI.Items {
			c.addUnknown(item.Path, "it shows labels or annotations of the pod")
		}
		return nil
	}
	for i := range v.Projected.Sources {
		if err := c.addProjected(ctx, api, namespace, &v.Projected.Sources[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *contents) addProjected(ctx context.Context, api Getter, namespace string, s *corev1.VolumeProjection) error {
	switch {
	case s.ConfigMap != nil:
		return c.addObject(ctx, api, ConfigMap, namespace, s.ConfigMap.Name, s.ConfigMap.Items, isTrue(s.ConfigMap.Optional))
	case s.Secret != nil:
		return c.addObject(ctx, api, Secret, namespace, s.Secret.Name, s.Secret.Items, isTrue(s.Secret.Optional))
	case s.DownwardAPI != nil:
		for _, item := range s.DownwardAPI.Items {
			c.addUnknown(item.Path, "it shows labels or annotations of the pod")
		}
	case s.ServiceAccountToken != nil:
		c.addUnknown(s.ServiceAccountToken.Path, "it shows the service account's token")
	case s.ClusterTrustBundle != nil:
		c.addUnknown(s.ClusterTrustBundle.Path, "it shows a cluster trust bundle")
	case s.PodCertificate != nil:
		p := s.PodCertificate
		for _, to := range []string{p.CredentialBundlePath, p.KeyPath, p.CertificateChainPath} {
			if to != "" {
				c.addUnknown(to, "it shows the pod's certificate")
			}
		}
	default:
		c.odd = "its volume has a source that this version of the plugin does not know"
	}
	return nil
}

// addObject adds the keys of a ConfigMap or a Secret.
func (c *contents) addObject(ctx context.Context, api Getter, kind Kind, namespace, name string, items []corev1.KeyToPath, optional bool) error {
	c.secret = c.secret || kind == Secret
	data, found, err := api.Get(ctx, kind, namespace, name)
	if forbidden, ok := errors.AsType[*ForbiddenError](err); ok {
		c.forbidden = forbidden.Error()
		return nil
	}
	switch {
	case err != nil:
		return err
	case !found && !optional:
		c.undeliverable = append(c.undeliverable, fmt.Sprintf("there is no %s: create it, or make it optional", ref(string(kind), namespace, name)))
		return nil
	case len(items) == 0:
		for key, content := range data {
			c.set(key, content)
		}
		return nil
	}
	for _, item := range items {
		content, ok := data[item.Key]
		switch {
		case ok:
			c.set(item.Path, content)
		case !optional:
			c.undeliverable = append(c.undeliverable, fmt.Sprintf("%s has no key %s: add it, or make it optional", ref(string(kind), namespace, name), item.Key))
		}
	}
	return nil
}

func (c *contents) set(to string, content []byte) {
	to = path.Clean(to)
	delete(c.unknown, to)
	c.files[to] = sha256.Sum256(content)
}

func (c *contents) addUnknown(to, why string) {
	if c.unknown == nil {
		c.unknown = make(map[string]string)
	}
	c.unknown[path.Clean(to)] = why
	delete(c.files, path.Clean(to))
}

// unknownIn is why what a path in the volume shows cannot be told from outside, and whether it is
// the same in all pods nevertheless; empty: it can be told.
func (c *contents) unknownIn(within string) (why string, same bool) {
	if c.odd != "" {
		return c.odd, false
	}
	for _, to := range sorted(c.unknown) {
		if within == "" || in(within, to) {
			return c.unknown[to], false
		}
	}
	return c.forbidden, c.forbidden != ""
}

// digest is that of a path in the volume; empty: nothing is there.
func (c *contents) digest(within string, exclude []string) string {
	if sum, ok := c.files[within]; ok {
		if excluded(path.Base(within), exclude) {
			return ""
		}
		return hex.EncodeToString(sum[:])
	}
	there := within == "" // a volume is a folder, also without files
	h := sha256.New()
	for _, to := range sorted(c.files) {
		rel := to
		if within != "" {
			below, ok := strings.CutPrefix(to, within+"/")
			if !ok {
				continue
			}
			rel, there = below, true
		}
		if leftOut(rel, exclude) {
			continue
		}
		sum := c.files[to]
		fmt.Fprintf(h, "%x  %s\x00", sum, rel)
	}
	if !there {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// leftOut tells whether a file, or a folder on the way to it, does not count.
func leftOut(rel string, exclude []string) bool {
	for end := range len(rel) + 1 {
		if end < len(rel) && rel[end] != '/' {
			continue
		}
		if way := rel[:end]; path.Base(way) == ".git" || excluded(way, exclude) {
			return true
		}
	}
	return false
}

// excluded tells whether a pattern matches.
func excluded(rel string, exclude []string) bool {
	return slices.ContainsFunc(exclude, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, rel) })
}

// sorted are the keys in the order of their bytes.
func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

func isTrue(b *bool) bool { return b != nil && *b }
