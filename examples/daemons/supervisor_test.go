package daemons_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

var supervisors = []daemon{
	{
		name:    "Supervisor",
		program: "/usr/bin/supervisord",
		pkg:     "supervisor",
		args:    []string{"-n", "-c", "/etc/supervisor/supervisord.conf"},
		as:      "www-data",
		dir:     "/etc/supervisor",
		files: volumetest.Files{"supervisord.conf": `[supervisord]
logfile = /tmp/supervisord.log
pidfile = /tmp/supervisord.pid
childlogdir = /tmp
identifier = one
[inet_http_server]
port = 127.0.0.1:9001
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:sleep]
command = sleep infinity
`},
		change:  [2]string{"one", "two"},
		setting: identification,
		breaks:  [2]string{"[supervisord]", "[supervizord]"},
		lost:    itsPrograms,
	},
}

// identification asks Supervisor for its identifier by XML-RPC.
func identification() (string, error) {
	const call = "<methodCall><methodName>supervisor.getIdentification</methodName></methodCall>"
	response, err := http.Post("http://127.0.0.1:9001/RPC2", "text/xml", strings.NewReader(call))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	_, value, _ := strings.Cut(string(content), "<string>")
	value, _, found := strings.Cut(value, "</string>")
	if !found {
		err = fmt.Errorf("the answer is %q", content)
	}
	return value, err
}
