package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLikely(t *testing.T) {
	for _, test := range []struct {
		variable, want string
		others         []string // sorted
	}{
		{"PROCESS", "PROCES", []string{"PROCES", "PROCESS_NAME", "TARGET_PROCESS"}}, //nolint:misspell // as people do
		{"PROCESS", "PORCESS", []string{"PORCESS"}},
		{"PROCESS", "Process", []string{"PROCESS_NAME", "Process"}},
		{"PROCESS", "PROCESS_NAME", []string{"A_PROCESS", "PROCESS_NAME"}},
		{"PROCESS", "PROCESSNAME", []string{"PROCESSNAME"}},
		{"PROCESS", "process_name", []string{"process_name"}},
		{"PROCESS", "PODSIGNAL_PROCESS", []string{"PODSIGNAL_PROCESS"}},
		{"PROCESS", "", []string{"MAX_WORKER_PROCESS", "PROCESS_MAX_AGE", "PROC", "SUBPROCESS"}},
		{"FILE", "FILES", []string{"CONFIG_FILE", "FILES"}},
		{"FILE", "FILENAME", []string{"FILENAME"}},
		{"FILE", "", []string{"PROFILE", "SSL_CERT_FILE", "HOME", "FILE_SERVER_URL"}},
		{"WEB_PROCESS", "WEB_PROCESS_NAME", []string{"WEB_PROCESS_NAME"}},
		{"FILE", "", nil},
	} {
		if got := likely(test.others, test.variable); got != test.want {
			t.Errorf("of %v %q may be meant for %s, want %q", test.others, got, test.variable, test.want)
		}
	}
}

func TestOtherVariables(t *testing.T) {
	environ := []string{"ZONE=a", "FILES=/x", "FILE=/v", "EMPTY=", "WEB_SERVICE_HOST=10.0.0.1", "PROCES=nginx"}       //nolint:misspell // as people do
	if diff := cmp.Diff([]string{"FILES", "PROCES", "ZONE"}, otherVariables(environ, []string{"FILE"})); diff != "" { //nolint:misspell // the same
		t.Errorf("(-want +got)\n%s", diff)
	}
}
