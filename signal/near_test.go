package signal

import "testing"

func TestNearName(t *testing.T) {
	args := func(args ...string) []string { return args }
	for name, test := range map[string]struct {
		process   string // PROCESS
		comm      string
		args      []string
		near, why string
	}{
		"the name itself":            {"nginx", "nginx", args("nginx"), "nginx", "its command line does not match CMDLINE"},
		"the title itself":           {"nginx", "main", args("nginx: master process"), "nginx", "its command line does not match CMDLINE"},
		"another case":               {"Nginx", "nginx", args("nginx"), "nginx", "another case"},
		"another letter":             {"ngimx", "nginx", args("nginx"), "nginx", "one letter away"},
		"a letter less":              {"ngnx", "nginx", args("nginx"), "nginx", "one letter away"},
		"a letter more":              {"nginxx", "nginx", args("nginx"), "nginx", "one letter away"},
		"two exchanged":              {"ngixn", "nginx", args("nginx"), "nginx", "one letter away"},
		"its beginning":              {"php-fpm", "php-fpm8.2", args("php-fpm: master process"), "php-fpm", "its command line does not match CMDLINE"},
		"its beginning, no title":    {"php-fpm", "php-fpm8.2", nil, "php-fpm8.2", "it begins so"},
		"more than it":               {"nginx-ingress", "nginx", args("nginx"), "nginx", "PROCESS begins so"},
		"a part of it":               {"alertmanager", "prometheus-aler", args("/bin/prometheus-alertmanager"), "prometheus-alertmanager", "PROCESS is part of it"},
		"a part of the title's name": {"master", "main", args("postmaster: x"), "postmaster", "PROCESS is part of it"},
		"a part of the command":      {"openresty", "main", args("/opt/openresty/main"), "main", "PROCESS is part of its command"},
		"what an interpreter runs":   {"gunicorn", "python3", args("/usr/bin/python3", "/usr/bin/gunicorn", "app"), "python3", "it runs gunicorn: tell it apart by CMDLINE"},

		"an operand":      {"nginx", "tail", args("tail", "-f", "--", "nginx"), "", ""},
		"another":         {"nginx", "sh", args("/bin/sh", "-c", "nginx -g x"), "", ""},
		"short":           {"shop", "sh", args("sh"), "", ""},
		"two letters":     {"sh", "ps", args("ps"), "", ""},
		"no command line": {"nginx", "kthreadd", nil, "", ""},
		"empty argv[0]":   {"nginx", "init", args(""), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := nearName(test.process, test.comm, test.args)
			if got.Name != test.near || got.Why != test.why {
				t.Errorf("%q, %q; want %q, %q", got.Name, got.Why, test.near, test.why)
			}
		})
	}
}

func TestOneEdit(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"abc", "abc", false},
		{"abc", "abd", true},
		{"abc", "xbc", true},
		{"abc", "ab", true},
		{"abc", "bc", true},
		{"abc", "abxc", true},
		{"abc", "acb", true},
		{"abc", "cba", false},
		{"abcd", "badc", false},
		{"abc", "a", false},
		{"ab", "ba", false}, // too short to tell
		{"", "", false},
	} {
		if got := OneEdit(test.a, test.b); got != test.want {
			t.Errorf("OneEdit(%q, %q) is %v", test.a, test.b, got)
		}
		if got := OneEdit(test.b, test.a); got != test.want {
			t.Errorf("OneEdit(%q, %q) is %v", test.b, test.a, got)
		}
	}
}
