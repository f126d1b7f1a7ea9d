package config

import "testing"

func TestListenAddress(t *testing.T) {
	for address, want := range map[string]bool{
		":9533": true, "0.0.0.0:9533": true, "127.0.0.1:0": true, "[::]:9533": true, "[::1]:9533": true, "localhost:9533": true,
		"9533": false, ":": false, ":http": false, ":65536": false, ":-1": false, "::1:9533": false,
		"localhost": false, "http://localhost:9533": false, "/metrics:9533": false, "a b:9533": false, "": false,
	} {
		if got := isAddress(address); got != want {
			t.Errorf("isAddress(%q) = %t", address, got)
		}
	}
}
