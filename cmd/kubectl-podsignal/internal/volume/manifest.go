package volume

import corev1 "k8s.io/api/core/v1"

// DigestOfConfigMap is that of a volume of a ConfigMap, without items and EXCLUDE.
func DigestOfConfigMap(m *corev1.ConfigMap) string { return digestOf(dataOf(m)) }

// DigestOfSecret is that of a volume of a Secret, without items and EXCLUDE. What stringData has
// replaces what data has, as the API server does.
func DigestOfSecret(s *corev1.Secret) string {
	data := make(map[string][]byte, len(s.Data)+len(s.StringData))
	for key, content := range s.Data {
		data[key] = content
	}
	for key, text := range s.StringData {
		data[key] = []byte(text)
	}
	return digestOf(data)
}

func digestOf(data map[string][]byte) string {
	c := contents{files: make(map[string][32]byte)}
	for key, content := range data {
		c.set(key, content)
	}
	return c.digest("", nil)
}
