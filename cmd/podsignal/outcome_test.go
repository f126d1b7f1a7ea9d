package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

const haproxyConf = `defaults
	mode http
	timeout connect 5s
	timeout client 5s
	timeout server 5s
frontend web
	bind %s
	http-request return status 200 content-type text/plain string %q
`

// TestOutcomesUnderLoad reloads nginx and HAProxy 100 times each while clients keep
// asking: no outcome may say that one refused its configuration, or died.
func TestOutcomesUnderLoad(t *testing.T) {
	for _, test := range []struct {
		name  string
		start func(*testing.T) *web
		env   []string
	}{
		{"nginx", startNginx, nil},
		{"haproxy", startHAProxy, []string{"SIGNAL=USR2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := test.start(t)
			const verify = time.Second
			p := n.startPodsignal(append(test.env, "VERIFY="+verify.String())...)
			stop := make(chan struct{})
			loads := []<-chan load{n.ask(stop), n.ask(stop)}
			const reloads = 100
			late := 0 // as many were over only when podsignal may have ceased to look
			for i := range reloads {
				begin := time.Now()
				n.swap(fmt.Sprintf("answer %d", i+1))
				if time.Since(begin) >= verify {
					late++
				}
				n.waitFor("the outcome is logged", func() bool { return strings.Count(p.said(), "outcome=") > i }) // a late one is corrected
			}
			close(stop)
			for _, result := range loads {
				l := <-result
				t.Logf("%d requests, %d connections, %d failed", l.requests, l.connections, len(l.failed))
			}
			p.end()
			counts := make(map[string]int)
			for _, outcome := range []string{"died", "restarted", "replaced", "refused", "read", "unseen"} {
				counts[outcome] = strings.Count(p.said(), "outcome="+outcome)
			}
			t.Logf("outcomes: %v; %d reloads took %v", counts, late, verify)
			if counts["died"]+counts["restarted"] > 0 || counts["refused"] > late {
				t.Errorf("false outcomes: %v", counts)
			}
			if counts["replaced"] == 0 {
				t.Errorf("no reload was seen to replace the workers: %v", counts)
			}
		})
	}
}

func startHAProxy(t *testing.T) *web {
	t.Helper()
	n := newWeb(t, "haproxy")
	n.answering = func(answer string) volumetest.Files {
		return volumetest.Files{"haproxy.cfg": fmt.Sprintf(haproxyConf, n.address, answer)}
	}
	n.start("-W", "-db", "-f", filepath.Join(n.volume, "haproxy.cfg"))
	return n
}
